#!/usr/bin/env python3
"""Random walks through the life of a CMEK key, under writes, with a crash of a random process in each step.

Steps: enable, rotate (to a new key, or to a new version), disable and enable the key in the KMS, REVOKE, bring back, add a
region. Which step, which process, and when, follow from a seed: KEYHOLD_WALK_SEED (default 1), KEYHOLD_WALKS and
KEYHOLD_WALK_STEPS for more (100 and 20), the first of them KEYHOLD_WALK_FIRST (0). A failure names seed, walk and step.

Each walk has a host of its own, so that a crash is its own too. KEYHOLD_WALK_WORKERS go side by side; one that fails
ends none of the others, and its host's directory is kept.
"""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

import harness
from customer import AwsKey
from harness import BIN, PSQL, Cluster, Writer, host

CCLOUD = BIN / 'ccloud'
SEED = int(os.environ.get('KEYHOLD_WALK_SEED', 1))
FIRST = int(os.environ.get('KEYHOLD_WALK_FIRST', 0))
WALKS = int(os.environ.get('KEYHOLD_WALKS', 1))
STEPS = int(os.environ.get('KEYHOLD_WALK_STEPS', 6))
WORKERS = int(os.environ.get('KEYHOLD_WALK_WORKERS', 1))
HOME, SECOND = 'us-east-1', 'us-east-2'
KINDS = ('server', 'agent', 'node', 'postgres', 'localcloud')
WITHIN = 60


def awaiting(what, test, within=WITHIN):
    """Until `test` holds; what it raises because something is down counts as not yet."""
    deadline = time.monotonic() + within
    last = None
    while time.monotonic() < deadline:
        try:
            last = test()
            if last is True:
                return
        except (AssertionError, KeyError, IndexError, OSError, json.JSONDecodeError) as e:
            last = e
        time.sleep(0.2)
    raise AssertionError(f'not within {within} s: {what}; last: {last}')


def by_customer(act):
    """What the customer does in the KMS, again until it answers: a crash may just have ended it."""
    done = []
    awaiting('the KMS answers', lambda: done.append(act()) or True)
    return done[0]


def new_key(region):
    return by_customer(lambda: AwsKey(region))


class Walk:
    """One cluster, and what must be true of it."""

    def __init__(self, number):
        self.random = random.Random(SEED * 1000 + number)
        self.cluster = Cluster(f'walk-{number}')
        self.keys = {}  # region -> AwsKey in force
        self.disabled = set()
        self.revoked = False
        self.cluster.sql('CREATE TABLE acks (id BIGINT PRIMARY KEY, filler TEXT NOT NULL)')
        self.writer = Writer(self.cluster.url, 1, pause=0.02)  # several walks share a machine

    def regions(self):
        return sorted(self.keys) or [HOME]

    def choices(self):
        if not self.keys:
            return [self.enable]
        if self.revoked:
            return [self.restore]
        if self.disabled:
            return [self.reenable, self.revoke]
        grow = [self.add_region] if SECOND not in self.keys else []
        return [self.rotate, self.rotate, self.new_version, self.disable, self.revoke, *grow]

    def step(self):
        action = self.random.choice(self.choices())
        kind = self.random.choice(KINDS)
        self.crash = (kind, self.random.uniform(0, 0.4))
        self.last = f'{action.__name__} with a crash of {kind}'
        action()

    def crash_now(self):
        """kill -9 of one process of the kind chosen, which may be between two lives."""
        kind, _ = self.crash
        pids = sorted(host.processes(kind))
        if pids:
            with contextlib.suppress(ProcessLookupError):  # a backend may have ended by itself
                os.kill(self.random.choice(pids), signal.SIGKILL)

    def ask(self, done, *words):
        """A command in whose middle the crash comes; asked again until `done` holds, as a user would."""
        process = host.popen(CCLOUD, *words)
        time.sleep(self.crash[1])
        self.crash_now()
        process.communicate(timeout=120)
        deadline = time.monotonic() + WITHIN
        while True:
            try:
                awaiting(words, done, within=5)
                return
            except AssertionError as e:
                if time.monotonic() > deadline:
                    raise
                again = host.run(CCLOUD, *words, ok=False)
                self.last_answer = f'{e}; {again.stdout}{again.stderr}'

    def cmek(self):
        return host.json(CCLOUD, 'cluster', 'cmek', 'get', self.cluster.name, '-o', 'json')

    def in_force(self, keys):
        def test():
            info = self.cmek()
            newest = {r['region']: r['key_infos'][0] for r in info['region_infos']}
            return info['status'] == 'ENABLED' and all(
                newest[region]['spec']['uri'] == key.uri and newest[region]['status'] == 'ENABLED'
                for region, key in keys.items()) or info
        return test

    @staticmethod
    def specs(keys):
        return json.dumps({'region_specs': [{'region': r, 'key_spec': json.loads(k.spec())} for r, k in sorted(keys.items())]})

    def change(self, verb, keys):
        self.ask(self.in_force(keys), 'cluster', 'cmek', verb, self.cluster.name, '--cmek-key-spec', self.specs(keys))
        self.keys.update(keys)
        self.serves()

    def enable(self):
        self.change('enable', {HOME: new_key(HOME)})

    def rotate(self):
        region = self.random.choice(self.regions())
        self.change('rotate', {region: new_key(region)})

    def new_version(self):
        region = self.random.choice(self.regions())
        by_customer(self.keys[region].new_version)
        self.change('rotate', {region: self.keys[region]})

    def enable_keys(self):
        for region in sorted(self.disabled):
            by_customer(lambda r=region: self.keys[r].enable(True))
        self.disabled.clear()

    def restore(self):
        self.enable_keys()
        keys = {r: self.random.choice([k, new_key(r)]) for r, k in self.keys.items()}
        self.revoked = False
        self.change('rotate', keys)

    def revoke(self):
        self.ask(lambda: self.cmek()['status'] == 'REVOKED', 'cluster', 'cmek', 'revoke', self.cluster.name, '--yes')
        self.revoked = True
        for region in self.regions():
            self.refuses(region, 'REVOKED')

    def disable(self):
        region = self.random.choice(self.regions())
        by_customer(lambda: self.keys[region].enable(False))
        self.disabled.add(region)
        time.sleep(self.crash[1])
        self.crash_now()
        self.refuses(region, 'KMS_DISABLED')

    def reenable(self):
        self.enable_keys()
        time.sleep(self.crash[1])
        self.crash_now()
        self.serves()

    def add_region(self):
        key = new_key(SECOND)
        self.ask(self.in_force({SECOND: key}), 'cluster', 'update', self.cluster.name, SECOND, '--cmek-key-spec', key.spec())
        self.keys[SECOND] = key
        self.serves()

    def sql(self, region):
        url = host.run(CCLOUD, 'cluster', 'sql', self.cluster.name, '-u', 'maya', '-p', 'correct-horse-battery', '--region', region,
                       '--connection-url').stdout.strip()
        return host.run(PSQL, url, '-XAt', '-c', 'SELECT 1', ok=False)

    def serves(self):
        for region in self.regions():
            if region not in self.disabled:
                awaiting(f'{region} serves', lambda r=region: (lambda d: d.returncode == 0 or d.stderr)(self.sql(r)))

    def refuses(self, region, cause):
        """SQL is refused, and the API says why."""
        def told():
            lock = next(r for r in self.cluster.info()['regions'] if r['name'] == region).get('lock')
            return lock is not None and (lock['cause'] == cause or lock)
        awaiting(f'{region} refuses', lambda: self.sql(region).returncode != 0)
        awaiting(f'{region} is locked by {cause}', told)

    def finish(self):
        """Nothing is stuck, every state is true, and every row that was acknowledged is there."""
        self.crash = (self.random.choice(KINDS), 0)
        if self.revoked:
            self.restore()
        elif self.disabled:
            self.reenable()
        self.serves()
        before = len(self.writer.acknowledged)
        awaiting('writes go on', lambda: len(self.writer.acknowledged) > before)
        self.writer.stop()

        def at_rest():
            info = self.cluster.info()
            return (info['state'] == 'CREATED' and info['operation_status'] == 'UNSPECIFIED'
                    and 'lock' not in info and 'warning' not in info) or info
        awaiting('at rest', at_rest)
        awaiting('keys in force', self.in_force(self.keys))
        kept = {int(line) for line in self.cluster.sql('SELECT id FROM acks').stdout.split()}
        lost = self.writer.acknowledged - kept
        assert not lost, f'{len(lost)} acknowledged rows are lost: {sorted(lost)[:5]}'
        self.cluster.delete()
        return len(self.writer.acknowledged)


def take(number):
    """One walk, and how it went. Raises at the first thing that is not as it must be."""
    start = time.monotonic()
    walk = Walk(number)
    taken = []
    try:
        for _ in range(STEPS):
            walk.step()
            taken.append(walk.last)
        rows = walk.finish()
    except Exception as e:
        walk.writer.stop()
        raise AssertionError(f'seed {SEED}, walk {number}, after {taken}: {walk.last}: {getattr(walk, "last_answer", "")}') from e
    return f'walk {number}: {"; ".join(taken)}: {rows} rows acknowledged and kept, {time.monotonic() - start:.0f} s'


def take_apart(number):
    """One walk in a process of its own, with a host of its own."""
    done = subprocess.run([sys.executable, __file__, str(BIN)], capture_output=True, text=True, env={
        **os.environ, 'KEYHOLD_WALKS': '1', 'KEYHOLD_WALK_FIRST': str(number), 'KEYHOLD_WALK_WORKERS': '1'})
    survived = done.returncode == 0
    told = [line for line in done.stdout.splitlines() if line.startswith('walk ')] if survived else [done.stdout, done.stderr]
    print(*told, sep='\n', file=sys.stderr, flush=True)
    return survived


class WalksTest(unittest.TestCase):
    def test_walks(self):
        numbers = range(FIRST, FIRST + WALKS)
        if WALKS > 1:
            host.dir.rmdir()  # each walk makes its own
            with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
                survived = list(pool.map(take_apart, numbers))
            self.assertTrue(all(survived), f'seed {SEED}: failed: {[n for n, ok in zip(numbers, survived) if not ok]}')
            return
        self.addCleanup(harness.tearDownModule)
        harness.setUpModule()
        try:
            print(take(FIRST))
        except AssertionError:
            os.environ['KEYHOLD_KEEP'] = '1'
            raise


if __name__ == '__main__':
    unittest.main(verbosity=2)
