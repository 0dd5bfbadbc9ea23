#!/usr/bin/env python3
"""Kills at random instants under write load: no acknowledged row is lost, no block unreadable, no restart fails.

    tests/e2e/kills_test.py [BIN_DIR]        KEYHOLD_KILL_ROUNDS=50  KEYHOLD_KILL_SEED=N
"""
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from harness import Cluster, Key, Writer, await_that, host, setUpModule, tearDownModule  # noqa: F401

ROUNDS = int(os.environ.get('KEYHOLD_KILL_ROUNDS', '50'))
OPENINGS = int(os.environ.get('KEYHOLD_KILL_OPENINGS', '8'))
SEED = int(os.environ.get('KEYHOLD_KILL_SEED', time.time_ns() % 1_000_000))
EVERYTHING = ('node', 'postgres', 'server', 'agent', 'localcloud', 'start')
ONE = ('node', 'postgres', 'backend', 'server', 'agent')


class Kills(unittest.TestCase):
    def test_kills_under_load(self):
        cluster = Cluster('kills')
        self.addCleanup(cluster.delete)
        cluster.update(Key())
        cluster.sql('CREATE TABLE acks (id BIGINT PRIMARY KEY, v STRING)')
        print(f'{ROUNDS} rounds, seed {SEED}', flush=True)
        dice = random.Random(SEED)
        kept = set()
        for round_ in range(ROUNDS):
            victims = EVERYTHING if round_ % 10 == 9 else (dice.choice(ONE),)
            writers = [Writer(cluster.url, round_ * 10_000_000 + n * 1_000_000) for n in range(3)]
            threading.Event().wait(dice.uniform(0.1, 1.5))
            host.kill(*victims)
            if 'start' in victims:
                host.start()
            host.await_server()
            took, _ = cluster.await_sql(True, 60)
            for writer in writers:
                writer.stop()
            new = set().union(*(w.acknowledged for w in writers))
            kept |= new
            found = {int(i) for i in cluster.sql(f'SELECT id FROM acks WHERE id >= {round_ * 10_000_000}').stdout.split()}
            self.assertEqual(new - found, set(), f'lost in round {round_}, {victims} killed, seed {SEED}')
            print(f'round {round_}: {" ".join(victims)} killed, {len(new)} rows acknowledged, back after {took:.1f} s', flush=True)
        found = {int(i) for i in cluster.sql('SELECT id FROM acks WHERE length(v) = 300').stdout.split()}
        self.assertEqual(kept - found, set())
        self.assertGreater(len(kept), ROUNDS)
        self.every_block_is_readable(cluster)

    def test_a_node_that_is_killed_while_it_opens_ends(self):
        """If it waited for its own mount at that instant, the kernel would keep it, and with it the store's lock."""
        cluster = Cluster('opening')
        self.addCleanup(cluster.delete)
        dice = random.Random(SEED)
        for round_ in range(OPENINGS):
            await_that(lambda: host.processes('postgres'), 'the node starts PostgreSQL', within=30, every=0.05)
            pid = host.processes('node')[0]
            threading.Event().wait(dice.uniform(0, 0.5))
            os.kill(pid, signal.SIGKILL)
            await_that(lambda: not os.path.exists(f'/proc/{pid}'), f'the node has ended (round {round_}, seed {SEED})', within=30)
        cluster.await_sql(True, 60)

    def every_block_is_readable(self, cluster):
        cluster.sql('CREATE EXTENSION IF NOT EXISTS amcheck', ok=False)
        with open(os.devnull, 'w') as sink:
            subprocess.run(['pg_dump', cluster.url], env=host.env, check=True, stdout=sink)
        log = (host.dir / 'kh/log' / f'node-{host.node_dir(cluster.info()["id"]).name}.log').read_text()
        self.assertNotIn('does not authenticate', log)


if __name__ == '__main__':
    unittest.main(verbosity=2)
