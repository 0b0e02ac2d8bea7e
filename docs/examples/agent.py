"""An agent for Answerback: leases callbacks, fetches their objects beside the client service, and delivers them.

    ANSWERBACK_URL=https://answerback.example AGENT_KEY=ab_plant_... CLIENT_SERVICE_URL=http://localhost:9010 python3 agent.py

It needs Python 3.10 or later and no other package. It follows "Writing an agent" in docs/http-api.md. FETCH_CONCURRENCY (16) is the number of
requests to the client service at a time. SIGTERM and Ctrl-C give back what is not done.
"""
import json
import os
import queue
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

ANSWERBACK_URL = os.environ.get("ANSWERBACK_URL", "http://localhost:9090").rstrip("/")
CLIENT_SERVICE_URL = os.environ.get("CLIENT_SERVICE_URL", "http://localhost:9010").rstrip("/")
AGENT_KEY = os.environ.get("AGENT_KEY", "")
FETCH_CONCURRENCY = int(os.environ.get("FETCH_CONCURRENCY", "16"))

MAX_HELD = 4  # callbacks at a time
WAIT_SECONDS = 30
FETCH_TIMEOUT_SECONDS = 10
FETCH_TRIES = 3
BATCH_SECONDS, BATCH_OBJECTS = 0.02, 1000

stopping = threading.Event()
fetches = queue.Queue()  # (lease, object id)


class NoRedirect(HTTPRedirectHandler):
    """A redirect would take the key to another host."""

    def redirect_request(self, *_):
        return None


answerback = build_opener(NoRedirect)
client_service = build_opener(NoRedirect, ProxyHandler({}))  # It stands beside the agent, so no proxy leads to it.


class Failed(Exception):
    """A request that brought nothing. If it is_passing, it may be sent again, after the wait that the service asked for."""

    def __init__(self, reason, is_passing, wait=0):
        super().__init__(reason)
        self.is_passing, self.wait = is_passing, wait


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for _ in range(FETCH_CONCURRENCY):
        threading.Thread(target=fetch_forever, daemon=True).start()
    log("started")
    poll()


def stop(*_):
    """Ends poll(), also while it waits for an answer. Python then waits for the threads that hold a lease."""
    stopping.set()
    sys.exit()


def poll():
    room = threading.Semaphore(MAX_HELD)
    tries = 0
    while True:
        room.acquire()
        leases = []
        try:
            body = {"wait_seconds": WAIT_SECONDS, "version": "agent.py"}  # max_callbacks is 1 by default
            leases, tries = call("POST", "/v1/agents/self/leases", body, timeout=WAIT_SECONDS + 10).get("items", []), 0
        except Failed as error:
            tries += 1
            log("no leases", reason=str(error))
            time.sleep(error.wait or (backoff(tries) if error.is_passing else 60))
        for lease in leases:
            threading.Thread(target=work, args=(Lease(lease), room)).start()
        if not leases:
            room.release()


def work(lease, room):
    try:
        log("lease ended", state=lease.process(), request_id=lease.request_id)
    except Failed as error:
        log("lease lost", reason=str(error), request_id=lease.request_id)
    finally:
        lease.is_over = True
        room.release()


class Lease:
    def __init__(self, lease):
        self.location, self.objects, self.object_ids = lease["location"], lease["objects"], lease["object_ids"]
        self.request_id = lease.get("request_id")
        self.trace = {name: lease[name] for name in ("traceparent", "tracestate", "baggage") if name in lease}
        self.seconds = lease["expires_in_seconds"]
        self.ends_at = time.monotonic() + self.seconds
        self.results = queue.Queue()
        self.is_answered, self.retry_after = False, 0  # what the client service said
        self.is_over = False

    def process(self):
        """Delivers objects as they come, and ends the lease. Returns the state of the callback."""
        for object_id in self.object_ids:
            fetches.put((self, object_id))
        left, unstored = len(self.object_ids), []
        while left > 0 and not stopping.is_set():
            batch = self.next_results()
            left -= len(batch)
            unstored += [result for result in batch if "outcome" in result]
            found = [result for result in batch if "online" in result]
            if found:
                self.send("PUT", self.objects, {"objects": found})
            elif time.monotonic() > self.ends_at - self.seconds / 2:
                self.send("PATCH", self.location, {"extend_seconds": 30})
        if left == 0 and all(result["outcome"] != "pending" for result in unstored):
            end = {"state": "completed"}
        elif stopping.is_set():
            end = {"state": "pending"}
        else:  # If the client service answered nothing at all, it is down: the objects are not to blame.
            end = {"state": "pending", "charged": self.is_answered, "retry_after_seconds": self.retry_after}
        return self.send("PATCH", self.location, {**end, "unstored": unstored})["state"]

    def next_results(self):
        """Waits at most a second for a result, and then a moment for more of them."""
        batch = []
        with suppress(queue.Empty):
            batch.append(self.results.get(timeout=1))
            time.sleep(BATCH_SECONDS)
            while len(batch) < BATCH_OBJECTS:
                batch.append(self.results.get_nowait())
        return batch

    def send(self, method, path, body):
        """Sends a request until it is answered, while the lease may live. Each answer renews the lease."""
        tries = 0
        while True:
            asked_at = time.monotonic()
            try:
                answer = call(method, path, body, self.trace)
                self.ends_at = asked_at + self.seconds
                return answer
            except Failed as error:
                tries += 1
                wait = error.wait or backoff(tries)
                if not error.is_passing or stopping.is_set() or time.monotonic() + wait > self.ends_at:
                    raise
                stopping.wait(wait)


def fetch_forever():
    while True:
        lease, object_id = fetches.get()
        if not lease.is_over:
            lease.results.put({"id": object_id, **fetch(object_id, lease)})


def fetch(object_id, lease):
    """Asks the client service for an object. Returns its state or its outcome."""
    for attempt in range(FETCH_TRIES):
        if attempt > 0 and stopping.wait(backoff(attempt)):
            break
        reason = "invalid_answer"
        try:
            request = Request(f"{CLIENT_SERVICE_URL}/objects/{object_id}", headers=lease.trace)
            with client_service.open(request, timeout=FETCH_TIMEOUT_SECONDS) as response:
                answer = json.loads(response.read(65536))
            lease.is_answered = True
            if isinstance(answer, dict) and answer.get("id") == object_id and isinstance(answer.get("online"), bool):
                return {"online": answer["online"]}
        except HTTPError as error:
            lease.is_answered, lease.retry_after = True, max(lease.retry_after, retry_after(error))
            reason = f"http_{error.code}"
            if error.code == 404:
                return {"outcome": "not_found"}
            if not is_passing(error):
                return {"outcome": "failed", "reason": reason}
        except (OSError, HTTPException) as error:
            reason = "timeout" if isinstance(getattr(error, "reason", error), TimeoutError) else "connection"
        except (ValueError, RecursionError):
            pass
    return {"outcome": "pending", "reason": reason}


def call(method, path, body, headers={}, timeout=5):
    """Sends a request to Answerback. Returns the JSON of the answer, or {} if it has none."""
    headers = {"X-API-Key": AGENT_KEY, "Content-Type": "application/json", **headers}
    try:
        request = Request(ANSWERBACK_URL + path, json.dumps(body).encode(), headers, method=method)
        with answerback.open(request, timeout=timeout) as response:
            return json.loads(response.read() or "{}")
    except HTTPError as error:
        body = b""
        with suppress(OSError, HTTPException):
            body = error.read(500)
        raise Failed(f"{error.code} {body.decode(errors='replace')}", is_passing(error), retry_after(error)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise Failed(repr(error), True) from error


def is_passing(error):
    return error.code >= 500 or error.code in (408, 425, 429)


def retry_after(error):
    text = error.headers.get("Retry-After", "")
    return min(int(text), 300) if text.isdecimal() and len(text) < 10 else 0


def backoff(tries):
    return random.uniform(0, min(30, 0.2 * 2**tries))


def log(message, **fields):
    print(json.dumps({"msg": message, **fields}), flush=True)


if __name__ == "__main__":
    main()
