"""Compares a sender's own list with the ledger: python3 ledger_compare.py URL FILE

FILE is CSV without a header: the idempotency key and the received_at of the 202, one callback a line. A key of the service, if it needs one, is
in ANSWERBACK_KEY. The script prints each interval that differs, and the keys that the service does not have. The exit code is 0 if it has all of them.
"""
import csv
import json
import os
import sys
from datetime import datetime, timedelta
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from ledger_digest import digest


def main(url, path):
    sent = read_list(path)
    different = [interval for interval in intervals_of(url, sent) if not agrees(interval, keys_within(sent, interval))]
    there, forgotten = set(), []
    for interval in different:
        keys, is_complete = keys_of(url, interval)
        there |= keys
        if not is_complete:
            forgotten.append(interval)
    is_found = True
    for interval in different:
        mine = keys_within(sent, interval)
        print(f"{interval['from']} to {interval['to']}: sent {len(mine)}, the ledger has {interval['keyed']}")
        if interval in forgotten:
            print("  the service has deleted callbacks of this time, so it cannot say which keys it had")
            is_found = False
            continue
        # A key may be in a neighbouring interval, if its callback was accepted more than once.
        for key in sorted(mine - there):
            print(f"  missing: {key}")
            is_found = False
    print("every key is there" if is_found else "keys are missing")
    return 0 if is_found else 1


def read_list(path):
    """The time of each key. A key that was answered more than once has its earliest time."""
    sent = {}
    with open(path, newline="", encoding="utf-8") as file:
        for key, received_at in csv.reader(file):
            sent[key] = min(time_of(received_at), sent.get(key, time_of(received_at)))
    return sent


def intervals_of(url, sent):
    """The intervals of the ledger from the first to the last callback, day by day: an answer has 1,440 minutes at most."""
    if not sent:
        return
    day = min(sent.values()).replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= max(sent.values()):
        yield from get(url, "/v1/ledger", day, day + timedelta(days=1), step=60)["intervals"]
        day += timedelta(days=1)


def keys_within(sent, interval):
    start, end = time_of(interval["from"]), time_of(interval["to"])
    return {key for key, received_at in sent.items() if start <= received_at < end}


def agrees(interval, mine):
    return interval["keyed"] == len(mine) and interval["keys_digest"] == digest(mine)


def keys_of(url, interval):
    keys, is_complete = set(), True
    page = get(url, "/v1/ledger/keys", time_of(interval["from"]), time_of(interval["to"]), limit=1000)
    while True:
        keys |= {item["key"] for item in page["items"]}
        is_complete = is_complete and page["complete"]
        if "next" not in page:
            return keys, is_complete
        page = fetch(url + page["next"])


def get(url, path, start, end, **query):
    return fetch(f"{url}{path}?{urlencode({'from': start.isoformat(), 'to': end.isoformat(), **query})}")


def fetch(address):
    key = os.environ.get("ANSWERBACK_KEY")
    with urlopen(Request(address, headers={"X-API-Key": key} if key else {}), timeout=30) as response:
        return json.load(response)


def time_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].rstrip("/"), sys.argv[2]))
