//! Real programs, started and followed; every wait is for an event.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};

use super::*;

/// Set in a test that runs again in its own process.
const OWN_PROCESS: &str = "SPAWN_TEST_IN_OWN_PROCESS";

/// A program with the usual settings.
struct Program {
    argv: Vec<CString>,
    environment: Environment,
    directory: Option<CString>,
}

fn program<const N: usize>(argv: [&str; N]) -> Program {
    let argv = argv.map(|argument| CString::new(argument).unwrap()).to_vec();
    let environment = Environment::new([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C")]).unwrap();
    Program { argv, environment, directory: None }
}

fn shell(script: &str) -> Program {
    program(["/bin/sh", "-c", script])
}

impl Program {
    fn order<'a>(&self, stdout: BorrowedFd<'a>, stderr: BorrowedFd<'a>) -> Spawn<'a> {
        Spawn {
            program: self.argv[0].clone(),
            argv: self.argv.clone(),
            environment: self.environment.clone(),
            working_directory: self.directory.clone(),
            stdin: None,
            stdout,
            stderr,
            socket: None,
            processors: None,
        }
    }

    /// Starts it with both outputs into the returned pipe.
    fn start(&self) -> Result<(Child, File), SpawnError> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        Ok((spawn(self.order(writer.as_fd(), writer.as_fd()))?, reader.into()))
    }

    /// Runs it to its end and returns the exit with all output.
    fn run(&self) -> (Exit, String) {
        let (child, mut output) = self.start().unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        (followed(&child).exit.unwrap(), text)
    }

    fn refusal(&self) -> (Step, Errno) {
        let (child, _output) = self.start().unwrap();
        let error = child.wait().unwrap().exit.unwrap_err();
        (error.step, error.source)
    }
}

fn wait_readable(descriptor: impl AsFd) {
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], None).unwrap();
}

/// Waits like an event loop: for the pidfd, then without blocking.
fn followed(child: &Child) -> ChildEnd {
    wait_readable(child);
    child.try_wait().unwrap().unwrap()
}

fn read_pid(output: &mut impl BufRead) -> Pid {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    Pid::from_raw(line.trim().parse().unwrap()).unwrap()
}

/// Whether this is the test's own process; if not, runs the named test in one and expects success.
fn is_own_process(test: &str) -> bool {
    if env::var_os(OWN_PROCESS).is_some() {
        return true;
    }
    let output = own_process(test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // a misspelt name runs no test, and that is a success too
    let is_run = output.status.success() && text.contains("1 passed");
    assert!(is_run, "{test} in its own process: {text}{}", String::from_utf8_lossy(&output.stderr));
    false
}

fn own_process(test: &str) -> Command {
    let module = module_path!().split_once("::").unwrap().1;
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", &format!("{module}::{test}")]).env(OWN_PROCESS, "1");
    command
}

#[test]
fn exit_code_is_that_of_the_program() {
    for code in [0, 1, 42, 127, 255] {
        assert_eq!(shell(&format!("exit {code}")).run(), (Exit::Code(code), String::new()));
    }
}

#[test]
fn death_by_signal_differs_from_exit() {
    let (exit, _) = shell("kill -TERM $$").run();
    assert_eq!(exit, Exit::Signal { number: 15, core_dumped: false });
    let (exit, _) = shell("ulimit -c 0; kill -SEGV $$").run();
    assert_eq!(exit, Exit::Signal { number: 11, core_dumped: false });
}

#[test]
fn end_is_collected_once() {
    let (child, _output) = program(["/bin/sleep", "1000"]).start().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    child.signal_group(Signal::KILL).unwrap();
    wait_readable(&child);
    // the group can still be signalled: its number stays reserved until the end is collected
    child.signal_group(Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().exit, Ok(Exit::Signal { number: 9, core_dumped: false }));
    assert_eq!(child.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert_eq!(child.signal_group(Signal::KILL).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn usage_counts_processor_time_and_memory() {
    let busy = "i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done";
    let large = "head -c 400000000 /dev/zero | tail -c 399999999 | wc -c";
    let (child, _output) = shell(&format!("{busy}; {large}")).start().unwrap();
    let usage = child.wait().unwrap().usage;
    assert!(usage.user > Duration::ZERO && usage.user + usage.system < Duration::from_mins(1), "{usage:?}");
    // `tail` holds in memory what it will print
    assert!(usage.peak_memory_kib().unwrap() > 390_000, "{usage:?}");
    let (child, _output) = program(["/bin/true"]).start().unwrap();
    assert_eq!(child.wait().unwrap().usage.peak_memory_kib(), None);
}

#[test]
fn standard_input_is_empty() {
    assert_eq!(program(["/bin/cat"]).run(), (Exit::Code(0), String::new()));
    assert_eq!(program(["/bin/readlink", "/proc/self/fd/0"]).run().1, "/dev/null\n");
}

#[test]
fn outputs_go_to_the_given_descriptors() {
    let (mut output, output_writer) = pipe_with(PipeFlags::CLOEXEC).map(|(r, w)| (File::from(r), w)).unwrap();
    let (mut errors, errors_writer) = pipe_with(PipeFlags::CLOEXEC).map(|(r, w)| (File::from(r), w)).unwrap();
    let order = shell("echo out; echo err >&2");
    let child = spawn(order.order(output_writer.as_fd(), errors_writer.as_fd())).unwrap();
    drop((output_writer, errors_writer));
    assert_eq!(child.wait().unwrap().exit, Ok(Exit::Code(0)));
    let mut texts = (String::new(), String::new());
    output.read_to_string(&mut texts.0).unwrap();
    errors.read_to_string(&mut texts.1).unwrap();
    assert_eq!(texts, ("out\n".to_owned(), "err\n".to_owned()));
}

fn redirect(source: impl AsFd, target: RawFd) {
    // SAFETY: a system call without pointers; the target is a standard stream, which nobody owns.
    assert_eq!(unsafe { libc::dup2(source.as_fd().as_raw_fd(), target) }, target);
}

#[test]
fn own_standard_streams_can_be_passed_in_any_order() {
    if !is_own_process("own_standard_streams_can_be_passed_in_any_order") {
        return;
    }
    // our descriptor 1 becomes the child's 2, our 2 its 1, and the child must not see our 0, a pipe
    let (mut ones, one) = pipe_with(PipeFlags::CLOEXEC).map(|(r, w)| (File::from(r), w)).unwrap();
    let (mut twos, two) = pipe_with(PipeFlags::CLOEXEC).map(|(r, w)| (File::from(r), w)).unwrap();
    redirect(&ones, 0);
    let saved_one = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    let saved_two = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    redirect(&one, 1);
    redirect(&two, 2);
    let order = shell("echo out; echo err >&2; readlink /proc/self/fd/0");
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let child = spawn(order.order(stderr.as_fd(), stdout.as_fd()));
    redirect(&saved_one, 1);
    redirect(&saved_two, 2);
    drop((one, two));
    assert_eq!(child.unwrap().wait().unwrap().exit, Ok(Exit::Code(0)));
    let mut texts = (String::new(), String::new());
    ones.read_to_string(&mut texts.0).unwrap();
    twos.read_to_string(&mut texts.1).unwrap();
    assert_eq!(texts, ("err\n".to_owned(), "out\n/dev/null\n".to_owned()));
}

#[test]
fn child_leads_its_own_group() {
    let (child, mut output) = program(["/bin/cat", "/proc/self/stat"]).start().unwrap();
    let mut stat = String::new();
    output.read_to_string(&mut stat).unwrap();
    let pid = child.pid().to_string();
    assert_eq!(stat.split(' ').next(), Some(pid.as_str()));
    assert_eq!(stat.split(' ').nth(4), Some(pid.as_str()), "process group in {stat}");
    followed(&child);
}

#[test]
fn environment_is_the_base_plus_additions() {
    let mut program = program(["/usr/bin/env"]);
    program.environment = program.environment.with([("LC_ALL", "POSIX"), ("X", "a=b c")]).unwrap();
    assert_eq!(program.run(), (Exit::Code(0), "LC_ALL=POSIX\nPATH=/usr/bin:/bin\nX=a=b c\n".to_owned()));
}

#[test]
fn child_starts_in_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    let mut program = program(["/bin/pwd", "-P"]);
    program.directory = Some(c_path(&path));
    assert_eq!(program.run().1, format!("{}\n", path.display()));
    program.directory = Some(c_path(&path.join("missing")));
    assert_eq!(program.refusal(), (Step::WorkingDirectory, Errno::NOENT));
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

#[test]
fn execution_failure_names_step_and_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let cases = [
        (file("none", "", 0o755) + "x", Errno::NOENT),
        (file("plain", "#!/bin/sh\n", 0o644), Errno::ACCESS),
        (directory.path().display().to_string(), Errno::ACCESS),
        (file("no_shebang", "echo hello\n", 0o755), Errno::NOEXEC),
        (file("no_interpreter", "#!/does/not/exist\n", 0o755), Errno::NOENT),
    ];
    for (path, errno) in cases {
        assert_eq!(program([&path]).refusal(), (Step::Execute, errno), "{path}");
    }
    let busy = file("busy", "#!/bin/sh\n", 0o755);
    let writer = fs::OpenOptions::new().write(true).open(&busy).unwrap();
    assert_eq!(program([&busy]).refusal(), (Step::Execute, Errno::TXTBSY));
    drop(writer);
    let (child, _output) = program(["/does/not/exist"]).start().unwrap();
    let error = child.wait().unwrap().exit.unwrap_err();
    assert_eq!(
        format!("{error}: {}", error.source),
        "failed to execute the program: No such file or directory (os error 2)"
    );
}

#[test]
fn system_limits_are_plain_errors() {
    if !is_own_process("system_limits_are_plain_errors") {
        return;
    }
    let mut too_long = program(["/bin/true"]);
    too_long.argv.push(CString::new("x".repeat(1 << 20)).unwrap());
    assert_eq!(too_long.refusal(), (Step::Execute, Errno::TOOBIG));
    // no free descriptor number is left for the pidfd
    let present = program(["/bin/true"]);
    let error = std::io::stderr();
    let order = || present.order(error.as_fd(), error.as_fd());
    assert_eq!(spawn(order()).unwrap().wait().unwrap().exit, Ok(Exit::Code(0)));
    let lowest_free = error.as_fd().try_clone_to_owned().unwrap().as_raw_fd();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to the live structure given.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = lowest_free.try_into().unwrap();
    // SAFETY: reads the live structure given.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let error = spawn(order()).unwrap_err();
    assert_eq!((error.step, error.source), (Step::Clone, Errno::MFILE));
}

#[test]
fn child_inherits_no_other_descriptor() {
    let (reader, writer) = pipe_with(PipeFlags::empty()).unwrap();
    let (exit, text) = program(["/bin/ls", "/proc/self/fd"]).run();
    drop((reader, writer));
    // 3 is the directory that `ls` reads
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "0\n1\n2\n3\n"));
}

extern "C" fn ignore(_: c_int) {}

#[test]
fn child_has_default_signal_state() {
    if !is_own_process("child_has_default_signal_state") {
        return;
    }
    let blocked = (1 << (libc::SIGUSR1 - 1)) | (1 << (libc::SIGTERM - 1)) | (1 << (40 - 1));
    let before = swap_signal_mask(blocked).unwrap();
    for (signal, action) in [
        (libc::SIGPIPE, libc::SIG_IGN),
        (libc::SIGHUP, libc::SIG_IGN),
        (40, libc::SIG_IGN),
        (libc::SIGUSR2, ignore as *const () as libc::sighandler_t),
    ] {
        // SAFETY: the handler does nothing.
        assert_ne!(unsafe { libc::signal(signal, action) }, libc::SIG_ERR);
    }
    let (exit, text) = program(["/bin/cat", "/proc/self/status"]).run();
    let masks: Vec<_> =
        text.lines().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn")).collect();
    let clean = ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"];
    assert_eq!((exit, masks.as_slice()), (Exit::Code(0), clean.as_slice()));
    // and unchanged in this process
    assert_eq!(swap_signal_mask(before).unwrap(), blocked);
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = own.lines().find(|line| line.starts_with("SigIgn")).unwrap();
    let ignored = u64::from_str_radix(ignored.split('\t').nth(1).unwrap(), 16).unwrap();
    let expected = (1 << (libc::SIGPIPE - 1)) | (1 << (libc::SIGHUP - 1)) | (1 << (40 - 1));
    assert_eq!(ignored & expected, expected);
}

#[test]
fn ignored_sigchld_signals_no_foreign_process() {
    if !is_own_process("ignored_sigchld_signals_no_foreign_process") {
        return;
    }
    // SAFETY: installs no handler.
    assert_ne!(unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) }, libc::SIG_ERR);
    let (child, _output) = program(["/bin/true"]).start().unwrap();
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert_eq!(child.signal_group(Signal::KILL).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn child_dies_with_its_parent() {
    if env::var_os(OWN_PROCESS).is_some() {
        let (child, _output) = program(["/bin/sleep", "1000"]).start().unwrap();
        eprintln!("{}", child.pid());
        child.wait().unwrap();
        unreachable!("the child outlived its parent");
    }
    let mut parent = own_process("child_dies_with_its_parent")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(parent.stderr.take().unwrap());
    let child = pidfd_open(read_pid(&mut output), PidfdFlags::empty()).unwrap();
    parent.kill().unwrap();
    wait_readable(&child);
    parent.wait().unwrap();
}

#[test]
fn child_dies_with_the_spawning_thread() {
    let start = || {
        let (child, output) = shell("echo; exec sleep 1000").start().unwrap();
        // by now it runs its program and has its death signal
        BufReader::new(output).read_line(&mut String::new()).unwrap();
        child
    };
    let child = thread::spawn(start).join().unwrap();
    assert_eq!(followed(&child).exit, Ok(Exit::Signal { number: 9, core_dumped: false }));
}

#[test]
fn dropped_child_is_killed() {
    let (child, mut output) = shell("sleep 1000 & echo $!; wait").start().unwrap();
    let mut text = BufReader::new(&mut output);
    read_pid(&mut text);
    drop(child);
    // end of the output: no writer is left
    assert_eq!(text.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn group_signal_reaches_grandchildren() {
    let (child, output) = shell("sleep 1000 & echo $!; wait").start().unwrap();
    let mut output = BufReader::new(output);
    let grandchild = pidfd_open(read_pid(&mut output), PidfdFlags::empty()).unwrap();
    child.signal_group(Signal::TERM).unwrap();
    wait_readable(&grandchild);
    assert_eq!(followed(&child).exit, Ok(Exit::Signal { number: 15, core_dumped: false }));
    assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn leftovers_can_be_killed_before_collection() {
    let (child, output) = shell("sleep 1000 & echo $!").start().unwrap();
    let mut output = BufReader::new(output);
    let grandchild = pidfd_open(read_pid(&mut output), PidfdFlags::empty()).unwrap();
    wait_readable(&child);
    pidfd_send_signal(&grandchild, Signal::CONT).unwrap();
    child.signal_group(Signal::KILL).unwrap();
    wait_readable(&grandchild);
    assert_eq!(child.wait().unwrap().exit, Ok(Exit::Code(0)));
}

#[test]
fn many_spawns_leak_nothing() {
    if !is_own_process("many_spawns_leak_nothing") {
        return;
    }
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mappings = || fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    shell("exit 0").run();
    let before = (descriptors(), mappings());
    let missing = program(["/does/not/exist"]);
    let present = program(["/bin/true"]);
    for round in 0..2000 {
        assert_eq!(present.run(), (Exit::Code(0), String::new()));
        if round % 4 == 0 {
            assert_eq!(missing.refusal(), (Step::Execute, Errno::NOENT));
        }
    }
    assert_eq!(descriptors(), before.0);
    assert!(mappings() <= before.1 + 2, "{} mappings became {}", before.1, mappings());
    let any = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT);
    assert_eq!(any.unwrap_err(), Errno::CHILD, "no child is left, alive or dead");
}

#[test]
fn threads_can_spawn_concurrently() {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..100 {
                    let code = (thread * 50 + round) % 256;
                    let (exit, text) = shell(&format!("echo {code}; exit {code}")).run();
                    assert_eq!((exit, text), (Exit::Code(code), format!("{code}\n")));
                    assert_eq!(program(["/does/not/exist"]).refusal(), (Step::Execute, Errno::NOENT));
                }
            });
        }
    });
}

#[test]
fn event_loop_sees_output_and_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let (child, output) = shell("echo out; exit 3").start().unwrap();
        let (child, output) = (AsyncDescriptor::new(child).unwrap(), OwnedFd::from(output));
        rustix::io::ioctl_fionbio(&output, true).unwrap();
        let output = AsyncDescriptor::new(output).unwrap();
        drop(child.readable().await.unwrap());
        assert_eq!(child.get().try_wait().unwrap().unwrap().exit, Ok(Exit::Code(3)));
        drop(output.readable().await.unwrap());
        let mut text = [0; 8];
        assert_eq!(rustix::io::read(output.get(), &mut text).unwrap(), 4);
        assert_eq!(&text[..4], b"out\n");
    });
}
