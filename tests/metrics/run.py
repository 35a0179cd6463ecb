"""The metrics of a running program, the alert rules and the dashboard, checked by promtool.

- promtool accepts the metrics of a program that has done something, and refuses a text that is wrong.
- Every metric that a rule or a panel names is one that the program has.
- What happens to the program is seen in its metrics: requests, events, suspended and rejected usage, a computer.
- Each alert rule fires on the series of its fault, and not on those of a healthy program (`promtool test rules`); a rule
  without such a case fails.

    COUNT 5 passed, 0 failed, 0 skipped
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))
from server import binary, free_port  # noqa: E402

RULES = ROOT / "packaging" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "packaging" / "prometheus" / "dashboard.json"
SECONDS = 60
# Of each alert: the series of its fault, as promtool writes them, and when it fires at the latest.
FAULTS = {
    "SlapledgerDown": ({'up{job="slapledger",instance="a"}': "0x10"}, "2m"),
    "SlapledgerFault": ({'slapledger_fault{code="disk-full",instance="a"}': "1x10"}, "2m"),
    "SlapledgerDiskFillsUp": (
        {'slapledger_disk_free_bytes{instance="a"}': "150x20", 'slapledger_disk_reserve_bytes{instance="a"}': "100x20"}, "10m"),
    "SlapledgerRequestsFail": (
        {'slapledger_http_requests_total{instance="a",status="200"}': "0+90x30",
         'slapledger_http_requests_total{instance="a",status="503"}': "0+10x30"}, "20m"),
    "SlapledgerAppendsSlow": (
        {'slapledger_log_append_duration_seconds_bucket{instance="a",le="0.5"}': "0+1x30",
         'slapledger_log_append_duration_seconds_bucket{instance="a",le="1"}': "0+10x30",
         'slapledger_log_append_duration_seconds_bucket{instance="a",le="+Inf"}': "0+10x30"}, "20m"),
    "SlapledgerQueueFull": (
        {'slapledger_writer_queue_commands{instance="a"}': "90x10", 'slapledger_writer_queue_commands_max{instance="a"}': "100x10"},
        "5m"),
    "SlapledgerViewBehind": ({'slapledger_view_lag_events{instance="a",view="billing"}': "200000x20"}, "10m"),
    "SlapledgerUsageSuspended": ({'slapledger_usage_suspended_events{instance="a"}': "3x120"}, "90m"),
    "SlapledgerUsageRejected": ({'slapledger_usage_events_total{instance="a",outcome="rejected"}': "0+1x60"}, "40m"),
    "SlapledgerComputersSilent": ({'slapledger_computers_silent{instance="a"}': "1x60"}, "45m"),
    "SlapledgerCertificatesExpire": ({'slapledger_credentials_expiring{instance="a",kind="certificate"}': "1x1600"}, "1500m"),
}


def promtool(*words, given=None):
    done = subprocess.run(["promtool", *words], input=given, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode, done.stdout + done.stderr


class Program:
    """A proxy with a listener for operations."""

    def __init__(self, folder):
        port, operations = free_port(), free_port()
        self.url, self.operations = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{operations}"
        words = [binary(), "proxy", "--data", folder / "data", "--listen", f"127.0.0.1:{port}", "--operations",
                 f"127.0.0.1:{operations}"]
        self.process = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def send(self, path, body, media_type="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": media_type})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def metrics(self):
        with urllib.request.urlopen(f"{self.operations}/metrics", timeout=SECONDS) as answer:
            assert answer.headers["content-type"].startswith("text/plain"), answer.headers
            return answer.read().decode()


def value(text, series):
    found = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(f"{series} ")]
    assert len(found) == 1, f"{series} is {found}"
    return float(found[0])


def names_of(expression):
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bslapledger_[a-z_]+", expression)}


def check_accepted(text):
    status, told = promtool("check", "metrics", given=text)
    assert status == 0, told
    status, told = promtool("check", "metrics", given="# TYPE wrong counter\nwrong{a=} 1\n")
    assert status != 0, "promtool accepts what is wrong"
    status, told = promtool("check", "metrics", given="# HELP requests Requests.\n# TYPE requests counter\nrequests 1\n")
    assert status != 0, "promtool accepts a counter that is not called so"


def check_names(text):
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(expressions) > 10, expressions
    named = set().union(*map(names_of, expressions), names_of(RULES.read_text()))
    assert named <= known, f"not there: {named - known}"
    # Everything that is measured is shown somewhere, but for the version.
    shown = set().union(*map(names_of, expressions))
    hidden = {"slapledger_build_info", "slapledger_log_unsynced_values", "slapledger_log_epochs", "slapledger_disk_size_bytes",
              "slapledger_log_last_event_timestamp_seconds", "slapledger_view_unsnapshotted_events", "slapledger_view_rebuilding"}
    assert known - shown == hidden, (known - shown) ^ hidden
    for expression in expressions:
        plain = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            json.dump({"groups": [{"name": "g", "rules": [{"record": "a:b", "expr": plain}]}]}, file)
            file.flush()
            status, told = promtool("check", "rules", file.name)
            assert status == 0, f"{expression}: {told}"


def check_values(before, after):
    route = 'method="POST",route="/v1/usage-events"'
    assert value(after, f'slapledger_http_requests_total{{{route},status="422"}}') == 2
    assert value(after, f"slapledger_http_request_duration_seconds_count{{{route}}}") == 2
    assert value(after, "slapledger_log_events_total") > value(before, "slapledger_log_events_total")
    assert value(after, "slapledger_log_append_duration_seconds_count") > value(before, "slapledger_log_append_duration_seconds_count")
    assert value(after, 'slapledger_usage_events_total{outcome="suspended"}') == 1
    assert value(after, 'slapledger_usage_events_total{outcome="rejected"}') == 1
    assert value(after, "slapledger_usage_suspended_events") == 1
    assert value(after, "slapledger_computers") == 1
    assert value(after, 'slapledger_fault{code="disk-full"}') == 0


def check_no_stranger(program):
    """Paths without a route make no series."""
    for n in range(20):
        try:
            urllib.request.urlopen(f"{program.url}/nothing/{n}", timeout=SECONDS)
        except urllib.error.HTTPError:
            pass
    assert "/nothing" not in program.metrics()


def check_rules():
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert sorted(alerts) == sorted(FAULTS), "each alert has a case, and each case an alert"
    healthy = {series: "0x1600" for series in ('slapledger_fault{code="disk-full",instance="b"}', 'slapledger_usage_suspended_events{instance="b"}')}
    tests = []
    for alert, (series, at) in FAULTS.items():
        rows = [{"series": name, "values": values} for name, values in {**healthy, **series}.items()]
        # promtool compares all labels and texts: the query for the alert is enough.
        query = {"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})', "eval_time": at,
                 "exp_samples": [{"labels": "{}", "value": 1}]}
        none = {"expr": 'count(ALERTS{instance="b",alertstate="firing"})', "eval_time": at, "exp_samples": []}
        others = {"expr": f'count(ALERTS{{alertname!="{alert}",alertstate="firing"}})', "eval_time": at, "exp_samples": []}
        tests.append({"interval": "1m", "input_series": rows, "promql_expr_test": [query, none, others]})
    with tempfile.TemporaryDirectory() as folder:
        cases = pathlib.Path(folder) / "cases.yml"
        cases.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
        status, told = promtool("test", "rules", str(cases))
        assert status == 0, told
        # A case whose fault is absent is found.
        tests[0]["input_series"] = []
        cases.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests[:1]}))
        assert promtool("test", "rules", str(cases))[0] != 0, "promtool finds no missing alert"


def event(name, quantity):
    return {"specversion": "1.0", "type": "org.slapos.usage", "source": "computer", "id": name, "subject": "slappart0",
            "data": {"resource": "requests", "quantity": quantity, "start": "2026-10-01T00:00:00Z", "stop": "2026-10-01T01:00:00Z"}}


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        program = Program(pathlib.Path(folder))
        try:
            before = program.metrics()
            assert program.send("/v1/usage-events", event("a", "NaN"), "application/cloudevents+json") == 422
            # The same id with another content.
            assert program.send("/v1/usage-events", event("a", "1"), "application/cloudevents+json") == 422
            after = program.metrics()
            checks = [(check_accepted, (after,)), (check_names, (after,)), (check_values, (before, after)),
                      (check_no_stranger, (program,)), (check_rules, ())]
            for check, given in checks:
                try:
                    check(*given)
                    passed += 1
                    print(f"ok {check.__name__}")
                except Exception as error:  # noqa: BLE001
                    failed += 1
                    print(f"FAILED {check.__name__}: {error}")
        finally:
            program.process.terminate()
            program.process.wait(SECONDS)
    print(f"COUNT {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
