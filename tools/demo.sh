#!/bin/sh
# Shows the main job of policyc on one example. Run by `make demo`.
set -eu
cd "$(dirname "$0")/.."

policy=examples/fleet.thp
output=build/demo

say() {
    printf '\n# %s\n' "$1"
}

run() {
    printf '$ %s\n' "$*"
    "$@"
}

rm -rf "$output"

say "The policy says which page orders an allocation may use. Is it sound?"
run policyc check "$policy"

say "Compile it: BPF C for the kernel, the same policy in Python, and a manifest."
run policyc compile "$policy" -o "$output"
run ls "$output"

say "Ask it. A Java container whose memory khugepaged is collapsing:"
run policyc decide "$policy" --hook thp \
    cgroup=/kubepods/java/web-1 event=khugepaged orders=all

say "The same container at a page fault, while its tasks wait for memory a fifth of the time:"
run policyc decide "$policy" --hook thp \
    cgroup=/kubepods/java/web-1 event=pagefault orders=all \
    cgroup.psi.memory.full.avg10=20%

say "And a database, asked whether NUMA balancing is on for it:"
run policyc decide "$policy" --hook numa \
    cgroup=/kubepods/db/main task.comm=postgres node.count=2

say "Does it keep what its tests and properties say?"
run policyc test "$policy"

say "What would it do to a host, beside the stock settings?"
run policyc simulate "$policy" --cgroups 0
