#!/usr/bin/env python3
"""The vendors' npm packages against the local cloud, with nothing but what env.sh sets.

    tests/e2e/sdk_test.py [BIN_DIR]

The packages of tests/e2e/sdk/package-lock.json are installed once, into $XDG_CACHE_HOME/keyhold/sdk (~/.cache/keyhold/sdk);
without node, npm or their registry the test is skipped and says so.
"""
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from harness import host, setUpModule, tearDownModule  # noqa: F401

SOURCE = pathlib.Path(__file__).with_name('sdk')
HOME = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'keyhold/sdk'


def install():
    """The packages of the lock file are in HOME afterwards. Throws CalledProcessError when npm cannot get them."""
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (SOURCE / 'package-lock.json').read_bytes()
        mark = HOME / 'installed'
        if mark.is_file() and mark.read_bytes() == wanted:
            return
        for name in ('package.json', 'package-lock.json'):
            shutil.copy(SOURCE / name, HOME)
        subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-fund', '--no-audit'], cwd=HOME, check=True, capture_output=True,
                       text=True, timeout=300)
        mark.write_bytes(wanted)


class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which('node') is None or shutil.which('npm') is None:
            raise unittest.SkipTest('node and npm are not installed')
        try:
            install()
        except subprocess.CalledProcessError as e:
            raise unittest.SkipTest(f'npm cannot install the packages: {e.stderr[-300:]}')

    def run_script(self, name, **more):
        script = HOME / name  # where its imports are looked up
        shutil.copy(SOURCE / name, script)
        print(host.run('env', *(f'{k}={v}' for k, v in more.items()), 'node', script, timeout=240).stdout, flush=True)

    def test_aws(self):
        account = host.json('aws', 'sts', 'get-caller-identity')['Account']
        trust = {'Version': '2012-10-17', 'Statement': [
            {'Effect': 'Allow', 'Principal': {'AWS': f'arn:aws:iam::{account}:root'}, 'Action': 'sts:AssumeRole',
             'Condition': {'StringEquals': {'sts:ExternalId': 'org-1'}}}]}
        role = host.json('aws', 'iam', 'create-role', '--role-name', 'sdk-role', '--assume-role-policy-document',
                         json.dumps(trust))['Role']
        self.run_script('aws.mjs', ROLE_ARN=role['Arn'])

    def test_gcp(self):
        self.run_script('gcp.mjs')

    def test_azure(self):
        self.run_script('azure.mjs')


if __name__ == '__main__':
    unittest.main(verbosity=2)
