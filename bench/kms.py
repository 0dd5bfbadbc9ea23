"""Part kms: a wrap and an unwrap over a kept connection, beside the bare round trip to the same host."""
import importlib

import figures
import hosts
import programs
from figures import Row

BARE, KEYHOLD = 'round trip', 'Keyhold'


def keys(harness):
    """One key of each cloud: its name, key spec and host."""
    customer = importlib.import_module('customer')
    vault = customer.Vault()
    vault.grant()
    return (('AWS', harness.Key().spec(), 'kms.us-east-1.amazonaws.com'),
            ('GCP', customer.GcpKey('bench').spec(), 'cloudkms.googleapis.com'),
            ('Azure', customer.VaultKey(vault, 'bench').spec(), f'{vault.name}.vault.azure.net'))


def milliseconds(environment, *words):
    return float(programs.run(programs.BIN / 'kms_calls', *words, env=environment))


def measure(options, note):
    seconds = 0.1 if options.quick else 2
    with programs.Place() as place:
        harness = hosts.start(place)
        environment = hosts.agents_environment(harness.host)
        rows = [Row(f'{what}, {cloud}', 'ms',
                    lambda subject, what=what, spec=spec, name=name: milliseconds(
                        environment, *(('round-trip', name) if subject == BARE else (what, spec)), seconds),
                    more_is_better=False)
                for cloud, spec, name in keys(harness) for what in ('wrap', 'unwrap')]
        figures.take(rows, [BARE, KEYHOLD], options.rounds, note)
    return (figures.table("Calls of the local cloud's KMS, on one connection each", rows, [BARE, KEYHOLD], BARE),
            figures.as_json(rows, BARE))
