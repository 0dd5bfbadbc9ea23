#!/usr/bin/env python3
"""After a rotation the data goes over to the new data key: under traffic, through kills and locks, up to a proof; then the
old key is destroyed, and nothing misses it.

    tests/e2e/reencrypt_test.py [BIN_DIR]
"""
import subprocess
import threading
import time
import unittest

from harness import BIN, Cluster, Key, host, setUpModule, tearDownModule  # noqa: F401

ROWS = 'SELECT count(*), sum(n), md5(string_agg(md5(t), NULL ORDER BY n)) FROM dormant'


class Reencrypt(unittest.TestCase):
    def region(self, cluster):
        return host.json(BIN / 'ccloud', 'cluster', 'cmek', 'get', cluster.name, '-o', 'json')['region_infos'][0]

    def await_region(self, cluster, is_so, within=120):
        deadline = time.monotonic() + within
        while not is_so(region := self.region(cluster)):
            self.assertLess(time.monotonic(), deadline, region)
            threading.Event().wait(0.2)
        return region

    def await_done(self, cluster, keys):
        """Re-encrypted after the last of so many keys."""
        return self.await_region(cluster, lambda r: len(r['key_infos']) == keys and r['reencryption']['state'] == 'DONE'
                                 and all(key['may_be_destroyed'] for key in r['key_infos'][1:]))

    def await_middle(self, cluster):
        return self.await_region(cluster, lambda r: r.get('reencryption', {}).get('state') in ('REWRITING', 'PROVING')
                                 and r['reencryption']['percent'] > 10)

    def rotate(self, cluster, key):
        host.run(BIN / 'ccloud', 'cluster', 'cmek', 'rotate', cluster.name, '--cmek-key-spec', key.spec())

    def retire(self, cluster, key, ok):
        done = host.run(BIN / 'ccloud', 'cmek', 'retire-check', cluster.name, '--key', key.arn, ok=False)
        self.assertEqual(done.returncode == 0, ok, done.stdout + done.stderr)
        return done

    def test_the_life_of_old_keys(self):
        cluster = Cluster('renewed')
        self.addCleanup(cluster.delete)
        cluster.sql("CREATE TABLE dormant AS SELECT n, repeat(md5(n::text), 20) AS t FROM generate_series(1, 60000) n")
        host.run('pgbench', '-i', '-s', '3', '-q', cluster.url)
        rows = cluster.sql(ROWS).stdout
        first, second, third = Key(), Key(), Key()

        # Enable: what was written under the platform's key goes over too.
        cluster.update(first)
        enabled = self.await_done(cluster, 1)
        self.assertGreater(enabled['reencryption']['proof']['files'], 500)
        self.assertFalse(enabled['key_infos'][0]['may_be_destroyed'])

        # Rotated under traffic, which fails no transaction.
        bench = subprocess.Popen(['pgbench', '-c', '4', '-T', '5', cluster.url], env=host.env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        self.rotate(cluster, second)
        middle = self.await_middle(cluster)
        self.assertLess(middle['reencryption']['percent'], 100)
        self.assertFalse(middle['key_infos'][1]['may_be_destroyed'])
        self.retire(cluster, first, ok=False)
        self.assertIn('keep it enabled', middle['key_infos'][1]['user_message'])
        out, err = bench.communicate(timeout=60)
        self.assertEqual(bench.returncode, 0, err)
        self.assertIn('number of failed transactions: 0', out)

        # Killed in the middle; then done, with the evidence.
        self.await_middle(cluster)
        host.kill('node')
        cluster.await_sql(True, 60)
        done = self.await_done(cluster, 2)
        self.assertEqual(done['reencryption']['percent'], 100)
        old = done['key_infos'][1]
        self.assertEqual(old['spec']['uri'], first.arn)
        self.assertGreater(old['evidence']['blocks'], 15000)
        self.assertGreater(old['evidence']['proved_at'], old['evidence']['started_at'])
        for words in (('cluster', 'cmek', 'get'), ('cluster', 'info')):
            self.assertIn('100 %: a scan of', host.run(BIN / 'ccloud', *words, cluster.name).stdout)
        self.assertEqual(cluster.sql(ROWS).stdout, rows)
        self.assertIn('a scan of', self.retire(cluster, first, ok=True).stdout)
        self.assertIn('the key in force', self.retire(cluster, second, ok=False).stdout)

        # The old key goes, and nothing misses it, over restarts too.
        first.aws('disable-key')
        first.aws('schedule-key-deletion', '--pending-window-in-days', '7')
        self.assertEqual(cluster.sql(ROWS).stdout, rows)
        host.kill('node')
        cluster.await_sql(True, 60)
        self.assertEqual(cluster.sql(ROWS).stdout, rows)
        self.assertEqual(self.region(cluster)['key_infos'][1]['evidence'], old['evidence'])

        # Locked in the middle: it waits, and goes on.
        self.rotate(cluster, third)
        self.await_middle(cluster)
        third.aws('disable-key')
        cluster.await_sql(False, 10)
        waiting = self.await_region(cluster, lambda r: r['reencryption']['state'] == 'WAITING')
        self.assertFalse(waiting['key_infos'][1]['may_be_destroyed'])
        third.aws('enable-key')
        cluster.await_sql(True, 60)
        done = self.await_done(cluster, 3)
        self.assertEqual([key['may_be_destroyed'] for key in done['key_infos']], [False, True, True])
        self.assertGreater(done['key_infos'][1]['evidence']['proved_at'], old['evidence']['proved_at'])
        self.assertEqual(cluster.sql(ROWS).stdout, rows)


if __name__ == '__main__':
    unittest.main(verbosity=2)
