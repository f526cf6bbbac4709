# The front door. Meson and ninja do the work, in build/ (release) and build-*/ (sanitizers, fuzzing).
.PHONY: all build demo check fuzz bench format install deps clean

all: build

deps:
	@scripts/install-deps build

build: deps
	@[ -e build/build.ninja ] || meson setup build >build.log 2>&1 || { cat build.log; rm -rf build; exit 3; }
	@rm -f build.log
	@ninja -C build --quiet

# The whole tale in a pretend internet: up, the three checks, an edited list, verify, down. ENGINE=builtin|podman, GATE=builtin|haproxy.
ENGINE = builtin
GATE = builtin
demo: build
	@case $(ENGINE) in podman) scripts/install-deps podman;; esac
	@case $(GATE) in haproxy) scripts/install-deps haproxy;; esac
	@scripts/demo $(ENGINE) $(GATE)

# Everything: builds with GCC and Clang, unit, replay, case, command-line and system tests, sanitizers, linters.
check:
	@scripts/install-deps check
	@scripts/check

# Each fuzz target for SECONDS (60), from its corpus.
SECONDS = 60
fuzz:
	@scripts/install-deps check
	@scripts/fuzz $(SECONDS)

# What it costs and holds: CPU of the gate next to HAProxy's (if that is installed), and one pod's attack against another's p99.
bench: build
	@scripts/install-deps check
	@ninja -C build --quiet tests/bench/load
	@tests/bench/gate
	@tests/bench/isolation

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: build
	@meson install -C build

clean:
	rm -rf build build-*
