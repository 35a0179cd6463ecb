# Stages with a name and a duration each, and the count at the end. Sourced by tests/run.

passed=0 failed=0
skipped=()  # "name: reason"
failures=() # what failed, by stage
durations=()
lanes=()    # "function pid" of those that run
logs=$(mktemp -d)
# Lanes are process groups of their own: what they started ends with them.
trap 'for entry in ${lanes[@]+"${lanes[@]}"}; do kill -- "-${entry#* }" 2>/dev/null || true; done; rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM

# stage NAME COUNTER COMMAND...: runs the command, which may fail, and counts its results from its output with COUNTER.
stage() {
    local name=$1 counter=$2 status=0 began log=$logs/$1
    shift 2
    began=$(date +%s.%N)
    printf '\n=== %s\n' "$name"
    # The command runs in its own shell with errexit on; an `||` around a function would switch errexit off inside it.
    set +e
    ( set -euo pipefail; "$@" ) 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    set -e
    durations+=("$(awk -v name="$name" -v began="$began" -v now="$(date +%s.%N)" \
        'BEGIN { printf "%8.1f s  %s", now - began, name }')")
    printf '=== %s: %s\n' "$(awk '{ $1 = $1 } 1' <<<"${durations[-1]}")" "$([ "$status" = 0 ] && echo ok || echo "status $status")"
    count "$name" "$counter" "$status" "$log"
}

# lane FUNCTION: starts a function of stages beside what follows. What they print comes at `join_lanes`, as does their count.
lane() {
    local of=$logs/lane-$1
    mkdir "$of"
    set -m
    (
        trap - EXIT INT TERM
        set +m
        passed=0 failed=0 skipped=() failures=() durations=()
        "$1"
        { printf 'count %d %d\n' "$passed" "$failed"
          for line in ${skipped[@]+"${skipped[@]}"}; do printf 'skipped %s\n' "$line"; done
          for line in ${failures[@]+"${failures[@]}"}; do printf 'failure %s\n' "$line"; done
          for line in ${durations[@]+"${durations[@]}"}; do printf 'duration %s\n' "$line"; done
        } >"$of/results"
    ) >"$of/output" 2>&1 </dev/null &
    set +m
    lanes+=("$1 $!")
}

# join_lanes: waits for the lanes, prints what they printed, and adds their counts. A lane that broke is one failure.
join_lanes() {
    local entry name pid kind rest
    for entry in ${lanes[@]+"${lanes[@]}"}; do
        read -r name pid <<<"$entry"
        wait "$pid" || true
        cat "$logs/lane-$name/output"
        if [ ! -s "$logs/lane-$name/results" ]; then
            failed=$((failed + 1))
            failures+=("lane $name")
            continue
        fi
        while read -r kind rest; do
            case $kind in
                count) passed=$((passed + ${rest% *})) failed=$((failed + ${rest#* })) ;;
                skipped) skipped+=("$rest") ;;
                failure) failures+=("$rest") ;;
                duration) durations+=("$(printf '%8s %s %s' $rest)") ;;
            esac
        done <"$logs/lane-$name/results"
    done
    lanes=()
}

# count NAME COUNTER STATUS LOG: adds what a stage's log tells. A stage that fails without a failed test is one failure.
count() {
    local name=$1 counter=$2 status=$3 log=$4 stage_passed stage_failed line
    while IFS= read -r line; do
        skipped+=("$line")
    done < <("${counter}_skipped" "$log")
    read -r stage_passed stage_failed < <("${counter}_count" "$log" "$status")
    if [ "$status" != 0 ] && [ "$stage_failed" = 0 ]; then
        stage_failed=1
    fi
    if [ "$stage_failed" != 0 ]; then
        failures+=("$name")
    fi
    passed=$((passed + stage_passed))
    failed=$((failed + stage_failed))
}

# A stage that is one check: its status counts, unless it says that it was skipped.
single_count() {
    if [ "$2" = 0 ] && ! grep -q '^SKIPPED ' "$1"; then echo 1 0; else echo 0 0; fi
}
single_skipped() { sed -n 's/^SKIPPED //p' "$1"; }

# A stage that only prepares: its success is not a test.
silent_count() { echo 0 0; }
silent_skipped() { single_skipped "$1"; }

# `cargo test`: the result line of each binary, and the tests it ignored.
cargo_count() {
    sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; .*/\1 \2/p' "$1" |
        awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0 }'
}
cargo_skipped() {
    single_skipped "$1"
    sed -nE 's/^test (.*) \.\.\. ignored(, (.*))?$/\1: \3/p' "$1" | sed 's/: $/: ignored/'
}

# tests/clients/run.py: its COUNT line.
clients_count() {
    sed -nE 's/^COUNT ([0-9]+) passed, ([0-9]+) failed, [0-9]+ skipped$/\1 \2/p' "$1" |
        awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0 }'
}
clients_skipped() { single_skipped "$1"; }

# Prints the stages, what was skipped and what failed, and the closing line; the exit status of the whole run.
close() {
    printf '\n=== stages\n'
    [ ${#durations[@]} = 0 ] || printf '%s\n' "${durations[@]}"
    [ ${#skipped[@]} = 0 ] || printf 'skipped: %s\n' "${skipped[@]}"
    [ ${#failures[@]} = 0 ] || printf 'failed in: %s\n' "${failures[@]}"
    if [ "${CI:-}" = true ] && [ ${#skipped[@]} != 0 ]; then
        echo 'CI=true: a skipped test fails the run'
    fi
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "${#skipped[@]}"
    if [ "$failed" != 0 ] || [ "$passed" = 0 ]; then return 1; fi
    if [ "${CI:-}" = true ] && [ ${#skipped[@]} != 0 ]; then return 1; fi
}
