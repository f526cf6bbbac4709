"""What the gate's code may call, held against what its filter lets through (gate-syscalls.txt), both ways: each function of another
library that it is linked with is known here with its system calls, all of them allowed or politely refused; and each call that
the filter allows is one of those.

usage: gate_calls.py TABLE ARCHIVE... SHARED-LIBRARY..."""
import re
import subprocess
import sys

MEMORY = "brk mmap munmap mremap madvise mprotect futex"
# Functions that make calls. `?` before one: the filter refuses it, and the function lives with that.
CALLS = {
    **{name: name for name in """accept4 bind close connect dup epoll_create1 epoll_ctl epoll_wait getpid getpeername getrandom getsockname
        getsockopt munmap pipe2 read readv recvfrom recvmsg sched_getaffinity sendmsg setsockopt shutdown socket splice write writev""".split()},
    **{name: MEMORY for name in "malloc calloc realloc free aligned_alloc mallopt malloc_trim".split()},
    "recv": "recvfrom", "send": "sendto", "sendto": "sendto", "eventfd": "eventfd2", "fcntl": "fcntl", "fcntl64": "fcntl",
    "fstat64": "fstat newfstatat", "mmap64": "mmap", "mmap": "mmap", "clock_gettime": "clock_gettime", "gettimeofday": "gettimeofday",
    "nanosleep": "nanosleep clock_nanosleep", "signal": "rt_sigaction rt_sigreturn", "sigprocmask": "rt_sigprocmask", "sigtimedwait": "rt_sigtimedwait",
    "fwrite": "write writev fstat newfstatat", "rand": "futex", "abort": "rt_sigprocmask gettid getpid ?tgkill rt_sigaction",
    "__assert_fail": "write writev rt_sigprocmask gettid getpid ?tgkill rt_sigaction",
    "pthread_create": f"?clone3 clone {MEMORY} set_robust_list rseq rt_sigprocmask exit sched_getaffinity",
    "pthread_join": "futex", "fopen": "?openat", "gethostname": "uname", "getservbyname": "?openat", "getservbyport_r": "?openat",
    "fdpass_receive": "recvmsg", "fdpass_send": "sendmsg", "if_indextoname": "?socket", "fclose": "close", "fgets": "read", "fread": "read", "exit": "exit_group",
    "__read_chk": "read", "__recv_chk": "recvfrom", "__recvfrom_chk": "recvfrom", "__fread_chk": "read", "__fgets_chk": "read",
}
# Of the C library itself and of the kernel, whatever the code is.
ALWAYS = "exit_group restart_syscall rt_sigreturn sigaltstack getuid geteuid getgid getegid tgkill exit uname sched_yield membarrier"
# Called before the filter is on, or not at all by a gate (base is shared).
BEFORE = {"getrlimit64", "setrlimit64", "open64", "prctl", "poll", "statvfs64", "guard_check_powerless", "guard_close_fds_except", "guard_drop_capabilities",
          "guard_empty_root", "guard_seccomp_gate", "guard_set_ids"}
PURE = re.compile(r"^(mem\w+|str\w+|__mem\w+_chk|__str\w+_chk|__s\w+printf_chk|__vs\w+printf_chk|v?snprintf|inet_\w+|qsort|bsearch|gmtime_r|getenv"
                  r"|__errno_location|__stack_chk_fail|__fdelt_chk|__ctype_\w+|__sched_cpucount|__isoc\w+|sig(add|empty)set|ferror|setvbuf"
                  r"|__sprintf_chk|stderr|_GLOBAL_OFFSET_TABLE_|_ITM_\w+|__cxa_finalize|__gmon_start__|mnl_\w+|ares_\w+|SHA256\w*"
                  r"|__(asan|ubsan|tsan|sanitizer|lsan)\w*)$")


def symbols(path, shared):
    out = subprocess.run(["nm", *(["-D"] if shared else []), path], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found = [line.split()[-2:] for line in out.splitlines() if len(line.split()) >= 2 and line.split()[-2] in "UTDBRVWw"]
    undefined = {name.split("@")[0] for kind, name in found if kind in "Uw"}
    defined = {name for kind, name in found if kind not in "Uw"}
    return undefined, defined


def main():
    table, allowed, refused = sys.argv[1], set(), set()
    for line in open(table, encoding="ascii"):
        words = line.split()
        if re.match(r"\d+ ", line):
            (allowed if words[2] == "allowed" else refused if words[2].startswith("E") else set()).add(words[1])
        elif line.startswith(("socket", "mmap", "mprotect", "ioctl")) and words[-1] == "allowed":
            allowed.add(words[0])
    allowed.add("clone")  # of threads: the-gate-works tests start some
    undefined, defined = set(), set()
    for path in sys.argv[2:]:
        u, d = symbols(path, ".so" in path)
        undefined |= u
        defined |= d
    bad, used = [], set(ALWAYS.split())
    for name in sorted(undefined - defined - BEFORE):
        if name in CALLS:
            for call in CALLS[name].split():
                used.add(call.lstrip("?"))
                if call[0] != "?" and call not in allowed:
                    bad.append(f"{name}() makes the call {call}, which the filter does not allow")
        elif not PURE.match(name):
            bad.append(f"{name}(): say in {sys.argv[0]} which system calls it makes")
    bad += [f"the filter allows {call}, which nothing of the gate calls" for call in sorted(allowed - used)]
    for line in bad:
        print(line)
    return 1 if bad else 0


sys.exit(main())
