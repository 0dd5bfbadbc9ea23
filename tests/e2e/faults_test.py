#!/usr/bin/env python3
"""Faults of the KMS under a running cluster of each cloud: what was ordered, what the cluster does about it, by the clock.

    tests/e2e/faults_test.py [BIN_DIR] [--rounds N] [--seed S] [--cloud AWS|GCP|AZURE]

Each round orders one fault for one cluster's key by `keyhold localcloud fault` and holds what the cluster does against what
it should do. The clouds go side by side, and beside them a cluster whose key has no faults.
"""
import argparse
import datetime
import json
import random
import sys
import threading
import time
import unittest

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument('bin', nargs='?')
ARGUMENTS.add_argument('--rounds', type=int, default=0, help='per cloud; default: a short fixed list')
ARGUMENTS.add_argument('--seed', type=int, default=1)
ARGUMENTS.add_argument('--cloud', choices=('AWS', 'GCP', 'AZURE'))
OPTIONS = ARGUMENTS.parse_args()
sys.argv[1:] = [OPTIONS.bin] if OPTIONS.bin else []

from customer import GcpKey, Vault, VaultKey  # noqa: E402
from harness import BIN, Cluster, Key, await_that, host, tearDownModule  # noqa: E402,F401

PROBE = 2
GRACE = 8
LOCK_WITHIN = 5
BACK_WITHIN = 20
STEADY = 3 * PROBE + 1  # served so long, an opening was no flutter
ASKED_EVERY = 0.2  # three clouds' clients share the machine with what they ask

SILENT = ('unreachable', 'hang', 'stall', 'truncated', 'unavailable')
LIES = ('garbage', 'oversized', 'wrong-type', 'wrong-key', 'wrong-secret')


def setUpModule():
    host.start('--unreachable-grace', f'{GRACE}s')


def aws():
    key = Key()
    return key, key.id, 'us-east-1'


def gcp():
    return GcpKey('faults'), 'cryptoKeys/faults', 'us-east1'


def azure():
    vault = Vault()
    vault.grant()
    return VaultKey(vault, 'faults'), '/keys/faults', 'eastus'


def fault(*words):
    return host.run(BIN / 'keyhold', 'localcloud', 'fault', *words, '--dir', host.dir / 'kh')


class Cloud:
    """One cluster under a key of one cloud, and the faults ordered for that key."""

    def __init__(self, name, make):
        self.name = name
        key, self.key_name, region = make()
        self.cluster = Cluster(f'faults-{name.lower()}', cloud=name, region=region)
        self.cluster.update(key)
        self.await_reencrypted(60)
        self.ring = host.node_dir(self.cluster.info()['id']) / 'store/keyring'
        self.cluster.sql('CREATE TABLE kept (id INT PRIMARY KEY)')
        self.rows, self.locks, self.told = 0, [], []
        self.ids = []

    def order(self, kind, *words):
        done = fault('add', kind, '--cloud', self.name, '--key', self.key_name, '--json', *words)
        self.ids.append(str(json.loads(done.stdout)['id']))
        return time.monotonic()

    def clear(self):
        for number in self.ids:
            host.run(BIN / 'keyhold', 'localcloud', 'fault', 'clear', number, '--dir', host.dir / 'kh', ok=False)
        self.ids = []
        return time.monotonic()

    def await_reencrypted(self, within):
        """Until nothing but a fault's round would write the key ring."""
        def is_done():
            return self.info()['cmek_config']['region_infos'][0].get('reencryption', {}).get('state') == 'DONE'
        await_that(is_done, 're-encrypted', within, ASKED_EVERY)

    def hits(self):
        faults = json.loads(fault('list', '--json').stdout)
        return sum(f['hits'] for f in faults if str(f['id']) in self.ids)

    def serves(self):
        return self.cluster.sql('SELECT 1', ok=False)

    def info(self):
        return self.cluster.info()

    def wrap(self):
        """The active key record up to the wrapped store key (docs/formats/keyring.md): what a KMS has a hand in. How much was sealed,
        which a node writes when it closes, stands elsewhere."""
        ring = self.ring.read_bytes()

        def behind_text(at):
            return at + 2 + int.from_bytes(ring[at:at + 2], 'little')

        record = 36
        for _ in range(3):
            record = behind_text(record)
        wrapped = behind_text(behind_text(record + 1)) + 20
        assert behind_text(wrapped) > wrapped + 32, 'no wrapped store key was found in the key ring'
        return ring[record:behind_text(wrapped)]

    def await_lock(self, start, within, not_before=0.0):
        """Seconds from `start` until the cluster refuses. It serves until then."""
        while True:
            done = self.serves()
            passed = time.monotonic() - start
            if done.returncode != 0:
                assert passed >= not_before, f'locked after {passed:.1f} s, before {not_before} s: {done.stderr}'
                assert passed <= within, f'locked after {passed:.1f} s, not within {within} s'
                return passed
            assert passed < within, f'serves after {within} s'
            time.sleep(ASKED_EVERY)

    def await_warning(self, within):
        deadline = time.monotonic() + within
        while 'warning' not in (info := self.info()):
            assert time.monotonic() < deadline, f'no warning within {within} s'
            time.sleep(ASKED_EVERY)
        return info['warning']

    def serve_on(self, seconds):
        """Serves for so long, without a single refusal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done = self.serves()
            assert done.returncode == 0, f'{end - time.monotonic():.1f} s before the end: {done.stderr}'
            time.sleep(ASKED_EVERY)

    def await_back(self, start):
        took, _ = self.cluster.await_sql(True, BACK_WITHIN)
        self.rows += 1
        self.cluster.sql(f'INSERT INTO kept VALUES ({self.rows})')
        assert self.cluster.sql('SELECT count(*), max(id) FROM kept').stdout == f'{self.rows}|{self.rows}\n'
        assert 'lock' not in self.info()
        return time.monotonic() - start


class Neighbour(threading.Thread):
    """A cluster whose key has no faults, in a cloud where another key has: it is never refused, and its probes never wait."""

    def __init__(self):
        super().__init__()
        self.key = Key()
        self.cluster = Cluster('neighbour')
        self.cluster.update(self.key)
        self.began = datetime.datetime.now(datetime.timezone.utc)
        self.over = threading.Event()
        self.asked, self.refused = 0, []

    def run(self):
        while not self.over.wait(0.5):
            done = self.cluster.sql('SELECT 1', ok=False)
            self.asked += 1
            if done.returncode != 0:
                self.refused.append(done.stderr)

    def gaps(self):
        """Seconds between the uses of its key."""
        log = host.run(BIN / 'keyhold', 'localcloud', 'log', '--dir', host.dir / 'kh', '--key', self.key.id, '-o', 'json').stdout
        uses = [json.loads(line) for line in log.splitlines()]
        times = [datetime.datetime.fromisoformat(use['time']) for use in uses if use['action'] == 'kms:Decrypt']
        times = [t for t in times if t >= self.began]
        return [(b - a).total_seconds() for a, b in zip(times, times[1:])]

    def end(self):
        """What was wrong."""
        self.over.set()
        self.join()
        gaps = self.gaps()
        print(f'neighbour: asked {self.asked} times, {len(gaps) + 1} probes, at most {max(gaps):.1f} s apart', flush=True)
        # One that waited for a neighbour's fault would come after the 8 s and more that those last.
        return self.refused + [f'{gap:.1f} s between two probes' for gap in gaps if gap > 3 * PROBE]


def denied(cloud, rng):
    locked = cloud.await_lock(cloud.order('denied'), LOCK_WITHIN)
    cause = cloud.info()['lock']['cause']
    assert cause == 'KMS_DENIED', cause
    cloud.locks.append(locked)
    cloud.await_back(cloud.clear())
    return f'locked after {locked:.1f} s'


def silent_briefly(cloud, rng, kinds=SILENT):
    kind = rng.choice(kinds)
    cloud.order(kind)
    cloud.serve_on(GRACE * 0.5)
    cloud.clear()
    cloud.serve_on(2 * PROBE)
    return f'{kind}: served on'


def silent_for_good(cloud, rng, kinds=SILENT, causes=('KMS_UNREACHABLE',)):
    kind = rng.choice(kinds)
    before = cloud.wrap()
    start = cloud.order(kind)
    warning = cloud.await_warning(2 * PROBE + 2)
    assert warning['cause'] in causes, warning
    # The grace begins with the first probe that went without an answer, at most a probe after the order.
    locked = cloud.await_lock(start, GRACE + 2 * PROBE + 1.5, not_before=GRACE - 1)
    cause = cloud.info()['lock']['cause']
    assert cause in causes, cause
    assert cloud.wrap() == before, 'the store key was wrapped anew'
    cloud.await_back(cloud.clear())
    return f'{kind}: warned {warning["cause"]}, locked after {locked:.1f} s'


def throttled(cloud, rng):
    more = ('--retry-after', f'{rng.randint(1, 4)}s') if rng.random() < 0.5 else ()
    cloud.order('throttled', *more)
    warning = cloud.await_warning(2 * PROBE + 2)
    assert warning['cause'] == 'KMS_THROTTLED', warning
    cloud.serve_on(GRACE * 0.4)
    hits = cloud.hits()
    # A probe asks again within its 1.2 s at 0.1, 0.2, 0.4 s at most; the next one is a probe's interval away or more.
    assert hits <= 18, f'{hits} requests'
    cloud.clear()
    cloud.serve_on(PROBE)
    return f'{" ".join(more)} {hits} requests, served on'


def throttled_for_good(cloud, rng):
    # On a busy machine a probe may run out of time before it is told so.
    return silent_for_good(cloud, rng, ('throttled',), ('KMS_THROTTLED', 'KMS_UNREACHABLE'))


def flapping(cloud, rng):
    kind = rng.choice(('denied', 'unreachable', 'throttled', 'truncated', 'unavailable', 'garbage'))
    cloud.order(kind, '--every', '2')
    cloud.serve_on(3 * PROBE)
    hits = cloud.hits()
    assert hits >= 1, 'nothing was hit'
    cloud.clear()
    # A refusal that stays is not taken for the next flap.
    locked = cloud.await_lock(cloud.order('denied'), LOCK_WITHIN)
    cloud.locks.append(locked)
    cloud.await_back(cloud.clear())
    return f'{kind}: {hits} hits, served on; then denied: locked after {locked:.1f} s'


def denied_between_outages(cloud, rng):
    """Refused, with a second request of three lost: the refusal is seen all the same."""
    cloud.order('unreachable', '--every', '3')
    start = cloud.order('denied')
    locked = cloud.await_lock(start, LOCK_WITHIN)
    cloud.locks.append(locked)
    cloud.await_back(cloud.clear())
    return f'locked after {locked:.1f} s'


def lie_briefly(cloud, rng):
    before = cloud.wrap()
    told = silent_briefly(cloud, rng, LIES)
    assert cloud.wrap() == before, 'the store key was wrapped anew'
    return told


def lie_for_good(cloud, rng):
    # Google's Decrypt names no key that could be another.
    kinds = tuple(k for k in LIES if cloud.name != 'GCP' or k != 'wrong-key')
    return silent_for_good(cloud, rng, kinds, ('KMS_CORRUPT', 'KMS_UNREACHABLE'))


def lie_to_a_rewrap(cloud, rng):
    """Whatever a KMS answers to a wrap, what is written opens."""
    kind = rng.choice(LIES)
    cloud.order(kind, '--action', 'Wrap' if cloud.name == 'AZURE' else 'Encrypt')
    done = host.run(BIN / 'ccloud', 'cluster', 'cmek', 'rotate', cloud.cluster.name, ok=False)
    assert done.returncode != 0, f'a wrap that is {kind} was taken: {done.stdout}'
    cloud.clear()
    cloud.serve_on(2 * PROBE)
    locked = cloud.await_lock(cloud.order('denied'), LOCK_WITHIN)
    cloud.locks.append(locked)
    cloud.await_back(cloud.clear())
    return f'{kind}: refused; opens again'


SHORT = (throttled, flapping, lie_for_good)
ALL = (denied, silent_briefly, silent_for_good, throttled, throttled_for_good, flapping, denied_between_outages, lie_briefly,
       lie_for_good, lie_to_a_rewrap)


class Faults(unittest.TestCase):
    def run_rounds(self, cloud, rounds):
        rng = random.Random(f'{OPTIONS.seed} {cloud.name}')
        failed = []
        for number, scenario in enumerate(rounds, 1):
            start = time.monotonic()
            try:
                result = scenario(cloud, rng)
            except AssertionError as e:
                result = f'FAILED: {e}'
                failed.append(f'{cloud.name} round {number} {scenario.__name__}: {e}')
                cloud.clear()
                cloud.cluster.await_sql(True, 90)
            print(f'{cloud.name} {number} {scenario.__name__}: {result} ({time.monotonic() - start:.1f} s)', flush=True)
            cloud.serve_on(max(0.0, STEADY - PROBE))
        return failed

    def test_rounds(self):
        makers = {'AWS': aws, 'GCP': gcp, 'AZURE': azure}
        if OPTIONS.cloud:
            makers = {OPTIONS.cloud: makers[OPTIONS.cloud]}
        clouds = [Cloud(name, make) for name, make in makers.items()]
        failed = []

        def work(cloud):
            rng = random.Random(OPTIONS.seed)
            rounds = SHORT if OPTIONS.rounds == 0 else [ALL[i % len(ALL)] for i in range(OPTIONS.rounds)]
            rounds = list(rounds)
            rng.shuffle(rounds)
            try:
                failed.extend(self.run_rounds(cloud, rounds))
            except BaseException as e:  # noqa: BLE001 - a thread's failure is the test's
                failed.append(f'{cloud.name}: {e!r}')

        neighbour = Neighbour()
        neighbour.start()
        threads = [threading.Thread(target=work, args=(cloud,)) for cloud in clouds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for cloud in clouds:
            locks = sorted(cloud.locks)
            if locks:
                print(f'{cloud.name}: {len(locks)} locks after a refusal: median {locks[len(locks) // 2]:.1f} s, '
                      f'longest {locks[-1]:.1f} s', flush=True)
        self.assertEqual(neighbour.end() + failed, [])


if __name__ == '__main__':
    unittest.main(verbosity=2)
