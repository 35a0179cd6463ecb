"""What a master serves about a folder, to be held against the truth."""

import journal

PAGE = 1000
LISTS = ("v1/instances", "v1/computers", "v1/parties", "v1/invoices", "v1/price-books", "v1/software")
DOCUMENTS = ("v1/trial-balance",)
REFUSED = (500, 503, 507)


class Served:
    """Answers of a server up to the last event of the ledger: by what was asked for, or None where it was refused."""

    def __init__(self, server, last):
        self.answers, self.refusals = {}, []
        self._events(server, last)
        for path in LISTS:
            self._ask(server, path, lambda body: body["items"], limit=1000)
        for path in DOCUMENTS:
            self._ask(server, path, lambda body: {name: value for name, value in body.items() if name != "sequence"})

    def _ask(self, server, path, take, **query):
        answer = server.get(path, **query)
        if answer.status == 200:
            self.answers[path] = take(answer.json())
            return answer.json()
        self.answers[path] = None if answer.status in REFUSED else answer.status
        self.refusals.append(f"{path} answered {answer.status}: {answer.text[:200]}")
        return None

    def _events(self, server, last):
        found, after = [], 0
        while after < last:
            path = f"v1/events?after={after}&limit={PAGE}"
            answer = server.get(path)
            if answer.status != 200:
                self.refusals.append(f"{path} answered {answer.status}: {answer.text[:200]}")
                break
            items = answer.json()["items"]
            if not items:
                break
            found += [item for item in items if item["sequence"] <= last]
            after = items[-1]["sequence"]
        self.answers["v1/events"] = found

    def faults(self, truth):
        """What is served otherwise than in truth. A refusal is no untruth, and neither is what comes before one."""
        wrong = []
        for path, expected in truth.answers.items():
            answer = self.answers[path]
            if path == "v1/events" and self.refusals:
                expected = expected[:len(answer)]
            if answer is not None and answer != expected:
                wrong.append(f"{path} is served otherwise than in truth: {difference(answer, expected)}")
        return wrong


def difference(answer, expected):
    """Where two answers differ first."""
    if isinstance(answer, list) and isinstance(expected, list):
        for at, (one, other) in enumerate(zip(answer, expected)):
            if one != other:
                return f"item {at}: {str(one)[:150]} instead of {str(other)[:150]}"
        return f"{len(answer)} items instead of {len(expected)}"
    return f"{str(answer)[:200]} instead of {str(expected)[:200]}"


def write_faults(server, rng, known):
    """What is wrong with writes: new usage is accepted, usage that the log has is not accepted again."""
    fresh = journal.usage(rng)
    answer = server.post_json("v1/usage-events", [fresh], journal.BATCH)
    if answer.status != 200 or answer.json()["accepted"] + answer.json()["suspended"] != 1:
        return [f"new usage is not accepted: {answer!r}"]
    again = [{**journal.usage(rng), "id": identity} for identity in rng.sample(known, min(20, len(known)))]
    answer = server.post_json("v1/usage-events", again, journal.BATCH)
    # Of events that are known with other content none is accepted, which is a 422.
    if answer.status not in (200, 422) or answer.json()["accepted"] or answer.json()["suspended"]:
        return [f"usage that the log has is accepted again: {answer!r}"]
    return []
