"""Part store: the mount beside a plain directory, a pass-through FUSE file system, and other encrypting ones."""
import os
import pathlib
import shutil
import subprocess

import figures
import fscrypt
import postgres
import programs
import sql
from figures import Row

PLAIN, KEYHOLD, PASS = 'plain', 'Keyhold', 'pass-through'
SECRET = 'bench'


class Mounted:
    """A file system mounted for the length of `place`: `dir` is where its users work, `below` what it keeps on the disk."""

    def __init__(self, place, name):
        tidy = name.replace(' ', '-')
        self.below = place.directory(f'{tidy}-below')
        self.dir = place.directory(f'{tidy}-mount')
        self.place = place

    def await_mount(self, process):
        programs.until(f'mount at {self.dir}', 60, lambda: os.path.ismount(self.dir), process)
        # Before the process is ended, and so in reverse order of being said.
        self.place.callback(subprocess.run, ['umount', self.dir], capture_output=True)
        self.dir.chmod(0o777)
        return self


def mount_plain(place, name, _):
    mounted = Mounted(place, name)
    mounted.dir.chmod(0o777)
    mounted.below = mounted.dir
    return mounted


def mount_keyhold(place, name, program):
    mounted = Mounted(place, name)
    # No extended attributes, as a node mounts it for its PostgreSQL.
    process = place.start(program or programs.BIN / 'store_mount_helper', mounted.below, mounted.dir, 'no-xattr',
                          stdout=subprocess.DEVNULL)
    return mounted.await_mount(process)


def mount_passthrough(place, name, _):
    # It gives a new file to whoever it runs as, and PostgreSQL wants its own.
    mounted = Mounted(place, name)
    shutil.chown(mounted.below, 'postgres', 'postgres')
    as_postgres = ('setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--clear-groups', '--inh-caps', '+sys_admin,+dac_override',
                   '--ambient-caps', '+sys_admin,+dac_override')
    process = place.start(*as_postgres, programs.BIN / 'passthrough_ll', '-f', '-o',
                          f'source={mounted.below},writeback,cache=always,allow_other,default_permissions,no_xattr,clone_fd', mounted.dir,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return mounted.await_mount(process)


def mount_gocryptfs(place, name, _):
    mounted = Mounted(place, name)
    secret = place.path / 'secret'
    secret.write_text(SECRET)
    programs.run('gocryptfs', '-q', '-init', '-scryptn', '10', '-passfile', secret, mounted.below)
    process = place.start('gocryptfs', '-q', '-fg', '-allow_other', '-passfile', secret, mounted.below, mounted.dir,
                          stderr=subprocess.DEVNULL)
    return mounted.await_mount(process)


def mount_encfs(place, name, _):
    mounted = Mounted(place, name)
    process = place.start('encfs', '-f', '--standard', f'--extpass=echo {SECRET}', '-o', 'allow_other', mounted.below, mounted.dir,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return mounted.await_mount(process)


def mount_cryfs(place, name, _):
    mounted = Mounted(place, name)
    env = dict(os.environ, CRYFS_FRONTEND='noninteractive', CRYFS_NO_UPDATE_CHECK='true', CRYFS_LOCAL_STATE_DIR=str(place.path / 'cryfs'))
    process = place.start('cryfs', '-f', mounted.below, mounted.dir, '-o', 'allow_other', stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, text=True, env=env)
    process.stdin.write(SECRET + '\n')
    process.stdin.close()
    process.stdin = None
    return mounted.await_mount(process)


def mount_fscrypt(place, name, _):
    mounted = Mounted(place, name)
    fscrypt.mount(mounted.below / 'image', mounted.dir, place)
    mounted.dir = place.directory(f'{name}-mount/files')
    fscrypt.encrypt(mounted.dir.parent, mounted.dir)
    mounted.dir.chmod(0o777)
    return mounted


SUBJECTS = {PLAIN: mount_plain, KEYHOLD: mount_keyhold, PASS: mount_passthrough, 'gocryptfs': mount_gocryptfs, 'encfs': mount_encfs,
            'cryfs': mount_cryfs, 'fscrypt': mount_fscrypt}
OURS = (PLAIN, KEYHOLD, 'fscrypt')  # no program of somebody else's
DATABASES = [PLAIN, KEYHOLD, PASS, 'gocryptfs', 'fscrypt']  # on the others a database of this size takes hours


def mount_all(place, options, note):
    wanted = options.subjects.split(',') if options.subjects else [PLAIN, KEYHOLD, PASS] if options.quick else list(SUBJECTS)
    there = {}
    for name in [PLAIN] + [w for w in wanted if w != PLAIN]:
        program = programs.BIN / 'passthrough_ll' if name == PASS else None if name in OURS else shutil.which(name)
        if name not in OURS and not (program and pathlib.Path(program).exists()):
            note(f'{name} is not there: {"libfuse3-dev has its source" if name == PASS else f"apt-get install {name}"}')
            continue
        try:
            there[name] = SUBJECTS[name](place, name, None)
        except (programs.Failed, OSError) as error:
            note(f'{name} does not mount: {error}')
    for i, program in enumerate(options.against):
        there[f'Keyhold {i + 2}'] = mount_keyhold(place, f'Keyhold {i + 2}', program)
    return there


def forget(*directories):
    """Takes what is below out of the page cache: only its own, the machine is not ours alone."""
    for directory in directories:
        for path, _, names in os.walk(directory):
            for name in names:
                fd = os.open(os.path.join(path, name), os.O_RDONLY)
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


def file_rows(mounts, options):
    mib = 8 if options.quick else 512
    seconds = max(options.seconds / 2, 0.2)

    def work(subject, name, cold):
        where = mounts[subject].dir / 'files'
        where.mkdir(exist_ok=True)
        words = (where, seconds, mib)
        if cold is True:
            programs.run(programs.BIN / 'file_bench', 'prepare', *words)
            forget(where, mounts[subject].below)
        elif cold is False:
            programs.run(programs.BIN / 'file_bench', 'sequential-read', *words)
        return float(programs.run(programs.BIN / 'file_bench', name, *words))

    # `cold`: whether the file is in no page cache before, or all of it is; None where that does not matter.
    def row(what, unit, name, target='', cold=None):
        return Row(what, unit, lambda subject: work(subject, name, cold), target)
    return [row('sequential write 1 MiB, fsync', 'MiB/s', 'sequential-write', '>= 0.75'),
            row('sequential read, cold', 'MiB/s', 'sequential-read', '>= 0.85', cold=True),
            row('sequential read, warm', 'MiB/s', 'sequential-read', 'pass-through', cold=False),
            row('random read 8 KiB, cold', '/s', 'random-read', cold=True),
            row('random read 8 KiB, warm', '/s', 'random-read', 'pass-through', cold=False),
            row('random write 8 KiB, fdatasync', '/s', 'random-write-fdatasync', '>= 0.70', cold=False),
            row('random write 8 KiB, O_DSYNC', '/s', 'random-write-dsync', '>= 0.85', cold=False),
            row('mmap read 8 KiB, warm', '/s', 'map-read', cold=False),
            row('mmap write, msync of 64', '/s', 'map-write', cold=False),
            row('small files', '/s', 'small-files', '>= 0.30'),
            row('small files, fsync each', '/s', 'small-files-fsync', '>= 0.75')]


def database_rows(place, mounts, options, note):
    """PostgreSQL on each; all at once, idle but for the one that is measured."""
    targets = {}
    databases = [PLAIN] if options.quick else DATABASES
    for name, mounted in mounts.items():
        if name not in databases and not name.startswith(KEYHOLD):
            continue
        home = mounted.dir / 'database'
        home.mkdir()
        shutil.chown(home, 'postgres', 'postgres')
        server = postgres.Instance(place, name.replace(' ', '-'), home)
        place.callback(server.stop)
        targets[name] = server.unix()
        sql.prepare(targets[name], 1 if options.quick else 20, options.quick)
        note(f'{name}: database loaded')
    rows = sql.pgbench_rows(targets, options, '>= 0.97', '>= 0.92') + sql.statement_rows(targets, options)
    for row in rows:
        row.measure = (lambda measure: lambda s: measure(s) if s in targets else None)(row.measure)
    return rows


def measure(options, note):
    with programs.Place() as place:
        mounts = mount_all(place, options, note)
        rows = [row for row in file_rows(mounts, options) if options.wants(row.what)]
        names = [row.what for row in sql.pgbench_rows({}, options, '', '') + sql.statement_rows({}, options)]
        if any(options.wants(name) for name in names):
            rows = [r for r in database_rows(place, mounts, options, note) if options.wants(r.what)] + rows
        subjects = list(mounts)
        figures.take(rows, subjects, options.rounds, note)
        text = figures.table('The store, mounted, beside the same work on a plain directory', rows, subjects, PLAIN)
        if options.plot:
            draw(rows, subjects, options.plot, note)
        return text, figures.as_json(rows, PLAIN)


def draw(rows, subjects, file, note):
    try:
        import matplotlib
    except ImportError:
        note('no plot: apt-get install python3-matplotlib')
        return
    matplotlib.use('Agg')
    from matplotlib import pyplot
    others = [s for s in subjects if s != PLAIN]
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(rows) + 1.5))
    height = 0.8 / len(others)
    for i, subject in enumerate(others):
        places = [y + i * height for y in range(len(rows))]
        axes.barh(places, [row.ratio(subject, PLAIN) or 0 for row in rows], height, label=subject)
    axes.axvline(1, color='black', linewidth=0.8)
    axes.set_yticks([y + 0.4 - height / 2 for y in range(len(rows))], [row.what for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel('ratio to a plain directory (more is better)')
    axes.legend()
    figure.tight_layout()
    figure.savefig(file)
