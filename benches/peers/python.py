"""Fetches a run as the service's documentation does it in Python: python.py <base URL> <seconds> <at a time>."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests

base_url, seconds, at_a_time = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
headers = {"Authorization": "Bearer org_live_xxxxxxxx"}
end = time.monotonic() + seconds


def fetch(_):
    calls = 0
    while time.monotonic() < end:
        response = requests.get(f"{base_url}/v1/runs/run_3n9x2p", headers=headers)
        response.raise_for_status()
        response.json()
        calls += 1
    return calls


with ThreadPoolExecutor(at_a_time) as pool:
    print(sum(pool.map(fetch, range(at_a_time))), flush=True)
sys.stdin.read()
