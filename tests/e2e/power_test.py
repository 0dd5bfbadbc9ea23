#!/usr/bin/env python3
"""Power cuts: everything of `keyhold start`, PostgreSQL's data, the key rings, the server and the local cloud, on a disk that is cut off
at random instants under write load. No acknowledged row is lost, no acknowledged rotation, no block unreadable, no restart fails.

    tests/e2e/power_test.py [BIN_DIR]        KEYHOLD_POWER_ROUNDS=6  KEYHOLD_POWER_SEED=N; needs a loop device, is skipped without one
"""
import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

from harness import Cluster, Key, Writer, host

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from disk import Disk, enter_own_namespace

ROUNDS = int(os.environ.get('KEYHOLD_POWER_ROUNDS', '6'))
SEED = int(os.environ.get('KEYHOLD_POWER_SEED', time.time_ns() % 1_000_000))
MACHINE = ('start', 'agent', 'node', 'postgres', 'backend', 'server', 'localcloud')


class Power(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter_own_namespace()
        cls.disk = Disk(host.dir / 'disk.img', host.dir / 'kh', '2G')
        host.start()

    @classmethod
    def tearDownClass(cls):
        host.stop()
        cls.disk.close()
        shutil.rmtree(host.dir)

    def cut(self):
        """Of all processes first: see tests/mount/killed.py."""
        for pid in [pid for kind in MACHINE for pid in host.processes(kind)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.disk.cut()
        self.disk.close()
        self.disk.open()
        host.start()

    def test_power_cuts_under_load(self):
        cluster = Cluster('power')
        keys = [Key(), Key()]
        cluster.update(keys[0])
        cluster.sql('CREATE TABLE acks (id BIGINT PRIMARY KEY, v STRING)')
        print(f'{ROUNDS} rounds, seed {SEED}', flush=True)
        dice = random.Random(SEED)
        kept = set()
        for round_ in range(ROUNDS):
            writers = [Writer(cluster.url, round_ * 10_000_000 + n * 1_000_000) for n in range(3)]
            threading.Event().wait(dice.uniform(0.1, 8))
            rotates = round_ % 2 == 1
            if rotates:
                keys.reverse()
                cluster.update(keys[0])
            self.cut()
            for writer in writers:
                writer.stop()
            took, _ = cluster.await_sql(True, 120)
            new = set().union(*(w.acknowledged for w in writers))
            kept |= new
            found = {int(i) for i in cluster.sql('SELECT id FROM acks WHERE length(v) = 300').stdout.split()}
            self.assertEqual(kept - found, set(), f'lost in round {round_}, seed {SEED}')
            if rotates:
                self.assertEqual(cluster.info()['cmek_config']['key_spec']['uri'], keys[0].arn)
            print(f'round {round_}: {len(new)} rows{" and a rotation" if rotates else ""} acknowledged, back after {took:.1f} s',
                  flush=True)
        self.assertGreater(len(kept), ROUNDS)
        with open(os.devnull, 'w') as sink:
            subprocess.run(['pg_dump', cluster.url], env=host.env, check=True, stdout=sink)
        log = (host.dir / 'kh/log' / f'node-{host.node_dir(cluster.info()["id"]).name}.log').read_text()
        self.assertNotIn('does not authenticate', log)


if __name__ == '__main__':
    unittest.main(verbosity=2)
