#!/usr/bin/env python3
"""A machine that dies and comes back, and a server that dies in the middle of operations.

    tests/e2e/reboot_test.py [BIN_DIR]        KEYHOLD_REBOOT_ROUNDS=10  KEYHOLD_REBOOT_SEED=N
"""
import http.client
import json
import os
import pathlib
import random
import threading
import time
import unittest

from harness import Cluster, Key, await_that, host, setUpModule, tearDownModule  # noqa: F401

ROUNDS = int(os.environ.get('KEYHOLD_REBOOT_ROUNDS', '10'))
SEED = int(os.environ.get('KEYHOLD_REBOOT_SEED', time.time_ns() % 1_000_000))
MACHINE = ('start', 'agent', 'node', 'postgres', 'server')


class Reboot(unittest.TestCase):
    def test_1_clusters_come_back_only_if_their_key_answers(self):
        cluster, key = Cluster('reboot'), Key()
        self.addCleanup(cluster.delete)
        cluster.update(key)
        cluster.sql('CREATE TABLE t (v INT); INSERT INTO t VALUES (1)')
        host.kill(*MACHINE, 'localcloud')
        host.start()
        cluster.await_sql(True, 60)
        self.assertEqual(cluster.sql('SELECT count(*) FROM t').stdout.strip(), '1')
        # The key is disabled, and the machine dies before its node has asked again. The local cloud is on the machine too, so
        # the order is this one.
        key.aws('disable-key')
        host.kill(*MACHINE, 'localcloud')
        host.start()
        self.stays_locked(cluster, 10)
        self.assertEqual(cluster.info()['lock']['cause'], 'KMS_DISABLED')
        for pid in host.processes('node'):
            self.assertNotIn(' /mnt/store ', pathlib.Path(f'/proc/{pid}/mountinfo').read_text())
        self.assertEqual(host.processes('postgres'), [])
        key.aws('enable-key')
        cluster.await_sql(True, 60)
        self.assertEqual(cluster.sql('SELECT count(*) FROM t').stdout.strip(), '1')

    def stays_locked(self, cluster, seconds):
        host.await_server()
        await_that(lambda: cluster.info()['state'] == 'LOCKED' and 'lock' in cluster.info(), 'the cluster is locked', within=30)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.assertNotEqual(cluster.sql('SELECT 1', ok=False).returncode, 0)

    # --- the server dies in the middle --------------------------------------------------------------------

    def call_and_kill(self, after, method, path, body):
        """Whether the server acknowledged the call before it died."""
        outcome = {}

        def call():
            try:
                outcome['status'], outcome['answer'] = host.call(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                outcome['error'] = error
        thread = threading.Thread(target=call)
        thread.start()
        threading.Event().wait(after)
        host.kill('server')
        thread.join()
        host.await_server()
        self.assertTrue('error' in outcome or outcome['status'] < 500, outcome)
        return outcome.get('status', 0) // 100 == 2

    def settled(self, path, within=60):
        deadline = time.monotonic() + within
        while True:
            info = json.loads(host.call('GET', path)[1])
            if not info['status'].endswith('ING'):
                return info
            self.assertLess(time.monotonic(), deadline, info)
            threading.Event().wait(0.1)

    def test_2_operations_go_on_after_the_server_died(self):
        cluster = Cluster('goes-on')
        self.addCleanup(cluster.delete)
        cluster.sql('CREATE TABLE t (v INT)')
        path = f'/api/v1/clusters/{cluster.info()["id"]}/cmek'
        keys = [Key(), Key()]
        dice = random.Random(SEED)
        print(f'{ROUNDS} rounds, seed {SEED}', flush=True)
        acknowledged = 0
        for round_ in range(ROUNDS):
            key = keys[round_ % 2]
            body = json.dumps({'region_specs': [{'region': 'us-east-1', 'key_spec': json.loads(key.spec())}]})
            before = self.settled(path)['status']
            revokes = round_ % 3 == 2 and before == 'ENABLED'
            call = ('PATCH', path, '{"action":"REVOKE"}') if revokes else ('POST' if before == 'DISABLED' else 'PUT', path, body)
            heard = self.call_and_kill(dice.uniform(0, 1.2), *call)
            acknowledged += heard
            info = self.settled(path)
            newest = info['region_infos'][0]['key_infos'][:1]
            done = info['status'] == 'REVOKED' if revokes else bool(newest) and newest[0]['spec']['uri'] == key.arn
            print(f'round {round_}: {call[0]} {"acknowledged" if heard else "not heard of"}, {info["status"]}', flush=True)
            self.assertTrue(done or not heard, info)
            if not done or revokes:
                method = 'POST' if info['status'] == 'DISABLED' else 'PUT'
                status, answer = host.call(method, path, body)
                self.assertEqual(status, 200, answer)
            self.assertEqual(self.settled(path)['status'], 'ENABLED')
            cluster.await_sql(True, 60)
            cluster.sql(f'INSERT INTO t VALUES ({round_})')
        self.assertGreater(acknowledged, 0, 'the server died before every answer: nothing was tested')
        self.assertEqual(cluster.sql('SELECT count(*) FROM t').stdout.strip(), str(ROUNDS))


if __name__ == '__main__':
    unittest.main(verbosity=2)
