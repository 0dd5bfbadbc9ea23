"""What every part stands on: where the programs are, a directory that goes, processes that end."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get('BUILD_DIR', ROOT / 'build')).resolve() / 'bin'
POSTGRES = pathlib.Path('/usr/lib/postgresql/15/bin')


class Failed(Exception):
    pass


def run(*words, input=None, timeout=900, env=None, cwd=None):
    """The output of a command that must succeed."""
    words = [str(word) for word in words]
    done = subprocess.run(words, input=input, capture_output=True, text=True, timeout=timeout, env=env, cwd=cwd)
    if done.returncode != 0:
        raise Failed(f'{" ".join(words)[:200]}: {(done.stderr or done.stdout).strip()[-400:]}')
    return done.stdout


class Place(contextlib.ExitStack):
    """A temporary directory that everybody may walk into, and all that is to be undone at the end."""

    def __init__(self, within='/var/tmp'):
        super().__init__()
        self.path = pathlib.Path(tempfile.mkdtemp(prefix='keyhold-bench-', dir=within))
        self.path.chmod(0o755)
        self.callback(shutil.rmtree, self.path, ignore_errors=True)

    def directory(self, name, owner=None):
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        if owner:
            shutil.chown(path, owner, owner)
        return path

    def certificate(self):
        """cert.pem and key.pem for 127.0.0.1, readable by PostgreSQL's user alone."""
        certificate, key = self.path / 'cert.pem', self.path / 'key.pem'
        if not certificate.exists():
            run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                '-subj', '/CN=bench', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate)
            shutil.chown(key, 'postgres', 'postgres')
        return certificate, key

    def start(self, *words, **more):
        """A process that ends with this place."""
        process = subprocess.Popen([str(word) for word in words], **more)
        self.callback(end, process)
        return process


def end(process):
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def until(what, within, is_so, process=None, every=0.01):
    deadline = time.monotonic() + within
    while not is_so():
        if process is not None and process.poll() is not None:
            raise Failed(f'{what}: its process ended with {process.returncode}')
        if time.monotonic() > deadline:
            raise Failed(f'{what}: not within {within} s')
        time.sleep(every)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


def resident_kib(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1])
    raise Failed(f'no VmRSS of {pid}')


def machine():
    """What the figures were taken on."""
    model = next((line.split(':', 1)[1].strip() for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines()
                  if line.startswith('model name')), 'unknown processor')
    memory = int(pathlib.Path('/proc/meminfo').read_text().split()[1]) // (1 << 20)
    commit = subprocess.run(['git', '-C', str(ROOT), 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True).stdout.strip()
    return {'processor': model, 'cores': os.cpu_count(), 'memory_gib': memory, 'kernel': os.uname().release,
            'load': list(os.getloadavg()), 'commit': commit, 'time': time.strftime('%Y-%m-%d %H:%M:%S %z')}
