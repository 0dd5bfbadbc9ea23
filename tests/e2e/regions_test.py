#!/usr/bin/env python3
"""A cluster of several regions on one machine: each with its node, its key and its state."""
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import BIN, PSQL, Key, host, setUpModule, tearDownModule  # noqa: E402,F401

CCLOUD = BIN / 'ccloud'
NAME = 'atlas'


def ccloud(*words, ok=True):
    return host.run(CCLOUD, *words, ok=ok)


def info():
    return host.json(CCLOUD, 'cluster', 'info', NAME, '-o', 'json')


def region(name):
    return next(r for r in info()['regions'] if r['name'] == name)


def cmek():
    return {r['region']: r for r in host.json(CCLOUD, 'cluster', 'cmek', 'get', NAME, '-o', 'json')['region_infos']}


def specs(keys):
    return json.dumps({'region_specs': [{'region': k.region, 'key_spec': json.loads(k.spec())} for k in keys]})


def sql(where, text, ok=True):
    url = ccloud('cluster', 'sql', NAME, '-u', 'maya', '-p', 'correct-horse-battery', '--region', where,
                 '--connection-url').stdout.strip()
    return host.run(PSQL, url, '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-c', text, ok=ok)


def await_sql(where, serves, within=30):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        done = sql(where, 'SELECT 1', ok=False)
        if (done.returncode == 0) == serves:
            return done
        time.sleep(0.2)
    raise AssertionError(f'{where} after {within} s: {done.stdout}{done.stderr}')


class RegionsTest(unittest.TestCase):
    """One story, in order: what a team does with a cluster that spans regions."""

    def test_regions(self):
        east, west = Key(), Key(region='eu-west-1')
        ccloud('cluster', 'create', 'ADVANCED', NAME, 'us-east-1', 'eu-west-1', '--cloud', 'AWS', '--advanced-security-add-on',
               '--wait')
        ccloud('cluster', 'user', 'create', NAME, 'maya', '-p', 'correct-horse-battery')
        for where in ('us-east-1', 'eu-west-1'):
            await_sql(where, serves=True)
            sql(where, f"CREATE TABLE t (here TEXT); INSERT INTO t VALUES ('{where}')")
        self.assertEqual(len({r['sql_port'] for r in info()['regions']}), 2)

        # A key for every region, of that region; nothing changes otherwise.
        for wrong in ([east], [east, east], [Key(region='us-west-2'), west]):
            refused = ccloud('cluster', 'cmek', 'enable', NAME, '--cmek-key-spec', specs(wrong), ok=False)
            self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertEqual(info()['cmek_config']['status'], 'DISABLED')
        ccloud('cluster', 'cmek', 'enable', NAME, '--cmek-key-spec', specs([east, west]))
        self.assertEqual({n: r['status'] for n, r in cmek().items()}, {'us-east-1': 'ENABLED', 'eu-west-1': 'ENABLED'})
        self.assertEqual(cmek()['eu-west-1']['key_infos'][0]['spec']['uri'], west.arn)

        # One region's key goes: that region locks, and no other.
        west.aws('disable-key')
        message = await_sql('eu-west-1', serves=False).stderr
        self.assertIn(west.arn, message)
        self.assertEqual(sql('us-east-1', 'SELECT here FROM t').stdout.strip(), 'us-east-1')
        self.assertEqual(info()['state'], 'CREATED')
        self.assertEqual(region('eu-west-1')['lock']['cause'], 'KMS_DISABLED')
        self.assertNotIn('lock', region('us-east-1'))
        shown = ccloud('cluster', 'info', NAME).stdout
        self.assertTrue(shown.startswith('Region eu-west-1 is LOCKED, the others serve:'), shown)

        # The others can be rotated meanwhile.
        newer = Key()
        ccloud('cluster', 'cmek', 'rotate', NAME, '--cmek-key-spec', specs([newer]))
        self.assertEqual(cmek()['us-east-1']['key_infos'][0]['spec']['uri'], newer.arn)
        west.aws('enable-key')
        await_sql('eu-west-1', serves=True)
        self.assertEqual(sql('eu-west-1', 'SELECT here FROM t').stdout.strip(), 'eu-west-1')
        self.assertEqual(cmek()['eu-west-1']['key_infos'][0]['spec']['uri'], west.arn)

        # A new region needs its key in the same call.
        ohio = Key(region='us-east-2')
        alone = ccloud('cluster', 'update', NAME, 'us-east-2', ok=False)
        self.assertIn('needs its key', alone.stderr)
        ungranted = Key(region='us-east-2', grant=False)
        refused = ccloud('cluster', 'update', NAME, 'us-east-2', '--cmek-key-spec', ungranted.spec(), ok=False)
        self.assertIn('nothing was changed', refused.stderr)
        self.assertEqual(len(info()['regions']), 2)
        ccloud('cluster', 'update', NAME, 'us-east-2', '--cmek-key-spec', ohio.spec())
        await_sql('us-east-2', serves=True)
        self.assertEqual(cmek()['us-east-2']['status'], 'ENABLED')
        self.assertEqual(cmek()['us-east-2']['key_infos'][0]['spec']['uri'], ohio.arn)

        # A REVOKE is of the whole cluster; back it comes with a key for every region.
        ccloud('cluster', 'cmek', 'revoke', NAME, '--yes')
        for where in ('us-east-1', 'eu-west-1', 'us-east-2'):
            await_sql(where, serves=False)
        self.assertEqual(info()['state'], 'LOCKED')
        some = ccloud('cluster', 'cmek', 'rotate', NAME, '--cmek-key-spec', specs([newer]), ok=False)
        self.assertIn('a key for every region', some.stderr)
        ccloud('cluster', 'cmek', 'rotate', NAME, '--cmek-key-spec', specs([newer, west, ohio]))
        for where in ('us-east-1', 'eu-west-1'):
            await_sql(where, serves=True)
            self.assertEqual(sql(where, 'SELECT here FROM t').stdout.strip(), where)
        ccloud('cluster', 'delete', NAME, '--yes')
        self.assertEqual(host.processes('node'), [])


if __name__ == '__main__':
    unittest.main(verbosity=2)
