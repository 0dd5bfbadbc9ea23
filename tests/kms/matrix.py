#!/usr/bin/env python3
"""The conformance suite of the KMS clients as a table: rows are cases, columns are implementations.

    tests/kms/matrix.py [KMS_TEST]        default: build/bin/kms_test

Runs the suites that every KMS must pass (conformance_test.cc, faults_test.cc) and those of a customer's key in each cloud
(where a case of the same name is the same case), and prints what came out: pass or FAIL; '-': not a case there.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CUSTOMERS = {'CustomersKey': 'Aws', 'GcpCustomersKey': 'Gcp', 'CustomersVault': 'Azure'}
NAMES = {'LocalCloud': 'Aws', 'LocalCloudAsRole': 'AwsRole', 'LocalAzure': 'Azure', 'LocalAzureVersion': 'AzureVersion'}
COLUMNS = ('Aws ', 'AwsRole', 'Gcp ', 'GcpImpersonated', 'Azure', 'AzureVersion', 'PlatformKey', 'ScriptedAws', 'ScriptedAzure')


def results(program):
    with tempfile.NamedTemporaryFile(suffix='.json') as out:
        suites = ['Worlds/Conformance.*', 'Clouds/Faults.*', *(f'{suite}.*' for suite in CUSTOMERS)]
        subprocess.run([program, f'--gtest_filter={":".join(suites)}', f'--gtest_output=json:{out.name}', '--gtest_brief=1'],
                       stdout=subprocess.DEVNULL)
        return json.load(out)['testsuites']


def words(name):
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])', ' ', name).capitalize()


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else ROOT / 'build/bin/kms_test'
    rows, failed = {}, 0
    for suite in results(program):
        for test in suite['testsuite']:
            case, _, world = test['name'].partition('/')
            column = CUSTOMERS.get(suite['name']) or NAMES.get(world, world)
            bad = 'failures' in test
            failed += bad
            told = {name: value for name, value in test.items() if value in ('pass', 'FAIL')}
            for name, outcome in (told or {words(case): 'FAIL' if bad else 'pass'}).items():
                rows.setdefault(name, {})[column] = outcome
    width = max(len(case) for case in rows)
    print(' | '.join([f'{"case":{width}}', *COLUMNS]))
    print(' | '.join(['-' * width, *('-' * len(column) for column in COLUMNS)]))
    for case, row in rows.items():
        print(' | '.join([f'{case:{width}}', *(f'{row.get(column.strip(), "-"):{len(column)}}' for column in COLUMNS)]))
    print(f'{len(rows)} cases, {sum(len(row) for row in rows.values())} runs, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
