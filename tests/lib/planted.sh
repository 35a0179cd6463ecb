#!/usr/bin/env bash
# The counting of tests/run, checked: a planted failure, a planted skip and a stage that breaks must all be seen.
set -euo pipefail
cd "$(dirname "$0")"

# expect NAME WANTED_STATUS WANTED_LAST_LINE SCRIPT: runs stages in a fresh shell.
expect() {
    local name=$1 wanted_status=$2 wanted_line=$3 status=0 output
    output=$(env -u CI bash -c "set -euo pipefail; . ./report.sh; $4; close" 2>&1) || status=$?
    if [ "$status" != "$wanted_status" ] || [ "$(tail -n 1 <<<"$output")" != "$wanted_line" ]; then
        printf 'planted: %s: status %s, expected %s and "%s"\n%s\n' "$name" "$status" "$wanted_status" "$wanted_line" "$output"
        exit 1
    fi
    echo "ok $name"
}

cargo_output="printf '%s\n' 'running 3 tests' 'test a::b ... ok' 'test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s' \
    'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s'"
expect 'all green' 0 '43 passed, 0 failed, 0 skipped' "stage fmt single true; stage unit cargo $cargo_output"
expect 'a failed check' 1 '42 passed, 1 failed, 0 skipped' "stage fmt single false; stage unit cargo $cargo_output"
expect 'a failed cargo test' 1 '40 passed, 3 failed, 0 skipped' \
    "f() { echo 'test result: FAILED. 40 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out'; exit 101; }; stage unit cargo f"
expect 'a test that does not compile' 1 '1 passed, 1 failed, 0 skipped' \
    "f() { echo 'error: could not compile'; exit 101; }; stage fmt single true; stage unit cargo f"
expect 'a failure in the middle of a stage' 1 '1 passed, 1 failed, 0 skipped' \
    "f() { false; true; }; stage first single f; stage second single true"
expect 'a preparation that fails' 1 '1 passed, 1 failed, 0 skipped' "stage install silent false; stage fmt single true"
expect 'nothing ran' 1 '0 passed, 0 failed, 0 skipped' ':'
expect 'a skipped check' 0 '42 passed, 0 failed, 1 skipped' \
    "stage fmt single echo 'SKIPPED fmt: missing'; stage unit cargo $cargo_output"
expect 'a skipped check in CI' 1 '42 passed, 0 failed, 1 skipped' \
    "CI=true; stage fmt single echo 'SKIPPED fmt: missing'; stage unit cargo $cargo_output"
expect 'an ignored test in CI' 1 '42 passed, 0 failed, 1 skipped' \
    "CI=true; f() { $cargo_output; echo 'test slow ... ignored, takes an hour'; }; stage unit cargo f"
expect 'the clients' 1 '3 passed, 2 failed, 1 skipped' \
    "f() { echo 'SKIPPED x: y'; echo 'COUNT 3 passed, 2 failed, 1 skipped'; exit 1; }; stage clients clients f"
expect 'lanes' 0 '44 passed, 0 failed, 1 skipped' \
    "a() { stage fmt single true; stage unit cargo $cargo_output; }; b() { stage x single true; stage y single echo 'SKIPPED y: z'; }; lane a; lane b; join_lanes"
expect 'a failure in a lane' 1 '2 passed, 1 failed, 0 skipped' \
    "a() { stage fmt single true; stage x single false; }; lane a; stage y single true; join_lanes"
expect 'a lane that breaks' 1 '1 passed, 1 failed, 0 skipped' "a() { stage x single true; exit 3; }; lane a; stage y single true; join_lanes"
expect 'clients that do not start' 1 '42 passed, 1 failed, 0 skipped' \
    "stage unit cargo $cargo_output; f() { echo 'No module named slapos'; exit 1; }; stage clients clients f"
