#!/bin/sh
# The jail of cli-pod. Both pods have the same one: it is in jail.sh.
# shellcheck source=jail.sh
. "${0%/*}/jail.sh"
