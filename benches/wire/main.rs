//! What a message costs on the wire: processor time and system calls of a client process, with a real Mosquitto at the
//! other end, and rumqttc beside this project. Both run in a runtime of tokio with one thread.
//!
//! `cargo run --release -p mqtt-benches --example wire [messages]`
//!
//! Each figure comes from processes of their own, in turn. The processor time is that from the accepted connection to
//! the last answer, the median of [`RUNS`] runs. System calls are counted by strace, as the difference of two runs of
//! different length.

mod clients;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use mqtt_core::{
    Options, Publish, QoS, Topic,
    driver::blocking::{Brokers, Config},
};

use clients::{Client, Job};

type Failure = Box<dyn core::error::Error>;

const MESSAGES: u64 = 20_000;
const PAYLOAD: usize = 64;
const TOPIC: &str = "plant/line-4/boiler/pressure";
const RUNS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

const JOBS: [Job; 5] = [
    Job::Publish(QoS::AtMostOnce),
    Job::Publish(QoS::AtLeastOnce),
    Job::Publish(QoS::ExactlyOnce),
    Job::Receive(QoS::AtMostOnce),
    Job::Receive(QoS::AtLeastOnce),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *arguments.as_slice() {
        [client, job, messages, port] => work(client, job, messages, port),
        [messages] => messages.parse().map_err(Failure::from).and_then(compare),
        [] => compare(MESSAGES),
        _ => Err("usage: wire [messages]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wire: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs as one of the measured processes.
fn work(client: &str, job: &str, messages: &str, port: &str) -> Result<(), Failure> {
    let client = Client::ALL.into_iter().find(|known| known.name() == client).ok_or("no client")?;
    let job = JOBS.into_iter().find(|known| known.name() == job).ok_or("no job")?;
    clients::run(client, job, messages.parse()?, port.parse()?)
}

fn compare(messages: u64) -> Result<(), Failure> {
    let broker = Broker::start()?;
    println!("{messages} messages of {PAYLOAD} bytes; microseconds and system calls per message\n");
    print!("{:16}", "");
    Client::ALL.iter().for_each(|client| print!(" {:>16}", client.name()));
    println!("   rumqttc / tokio");
    for job in JOBS {
        let mut times = Client::ALL.map(|_| Vec::new());
        for _ in 0..RUNS {
            for (client, times) in Client::ALL.into_iter().zip(&mut times) {
                times.push(measured(&broker, client, job, messages)?);
            }
        }
        let times = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times.get(RUNS / 2).copied().unwrap_or_default() / messages as f64
        });
        row(&job.name(), "us", times);
        let mut calls = [0.0; Client::ALL.len()];
        for (client, calls) in Client::ALL.into_iter().zip(&mut calls) {
            let few = counted(&broker, client, job, messages / 10)?;
            let many = counted(&broker, client, job, messages)?;
            *calls = (many - few) / (messages - messages / 10) as f64;
        }
        row("", "calls", calls);
    }
    Ok(())
}

fn row(name: &str, unit: &str, values: [f64; Client::ALL.len()]) {
    print!("{name:10}{unit:6}");
    values.iter().for_each(|value| print!(" {value:16.2}"));
    let [tokio, .., rumqttc] = values;
    println!("   {:.2}", rumqttc / tokio);
}

/// The processor time of one run, in microseconds.
fn measured(broker: &Broker, client: Client, job: Job, messages: u64) -> Result<f64, Failure> {
    let mut process = Command::new(env::current_exe()?);
    supervise(broker, &mut process, client, job, messages)
}

/// The system calls of one run.
fn counted(broker: &Broker, client: Client, job: Job, messages: u64) -> Result<f64, Failure> {
    let file = tempfile::NamedTempFile::new()?;
    let mut process = Command::new("strace");
    process.args(["-f", "-c", "-o"]).arg(file.path()).arg(env::current_exe()?);
    supervise(broker, &mut process, client, job, messages)?;
    total_calls(file.path())
}

/// The number of calls in the last line of a summary of strace: `100.00 seconds usecs/call calls [errors] total`.
fn total_calls(file: &Path) -> Result<f64, Failure> {
    let text = fs::read_to_string(file)?;
    let total = text.lines().rfind(|line| line.ends_with("total")).ok_or("no summary of strace")?;
    Ok(total.split_whitespace().nth(3).ok_or("no number of calls")?.parse()?)
}

/// Lets a process do its job, and gives what it reports.
fn supervise(
    broker: &Broker,
    process: &mut Command,
    client: Client,
    job: Job,
    messages: u64,
) -> Result<f64, Failure> {
    process.args([client.name(), &job.name(), &messages.to_string(), &broker.port.to_string()]);
    let mut process = process.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?);
    if let Job::Receive(qos) = job {
        line(&mut lines)?;
        feed(broker, qos, messages)?;
    }
    let report = line(&mut lines)?;
    if !process.wait()?.success() {
        return Err("a client failed".into());
    }
    Ok(report.parse()?)
}

fn line(lines: &mut BufReader<ChildStdout>) -> Result<String, Failure> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Publishes the messages that a process receives.
fn feed(broker: &Broker, qos: QoS, messages: u64) -> Result<(), Failure> {
    let brokers = Brokers::new(&[&format!("localhost:{}", broker.port)])?;
    let client = Config::new(&Options::new("feed")).spawn(brokers, |_, _| {})?;
    let publish = Publish::new(Topic::new(TOPIC)?, &[b'x'; PAYLOAD]).qos(qos);
    for _ in 0..messages {
        let _ = client.send_within(&publish, PATIENCE)?;
    }
    Ok(client.finish(PATIENCE)?)
}

/// A Mosquitto that drops nothing.
struct Broker {
    process: Child,
    port: u16,
}

impl Broker {
    fn start() -> Result<Self, Failure> {
        let port = TcpListener::bind(("localhost", 0))?.local_addr()?.port();
        let settings = tempfile::NamedTempFile::new()?;
        fs::write(
            settings.path(),
            format!(
                "listener {port} localhost\nallow_anonymous true\nset_tcp_nodelay true\n\
                 max_queued_messages 0\nmax_inflight_messages 100\nlog_type none\n"
            ),
        )?;
        let command = env::var_os("PATH").map(|path| {
            env::split_paths(&path)
                .chain(["/usr/sbin".into()])
                .map(|folder| folder.join("mosquitto"))
                .find(|program| program.exists())
        });
        let command = command.flatten().ok_or("mosquitto is not installed")?;
        let process = Command::new(command).arg("-c").arg(settings.path()).spawn()?;
        let broker = Self { process, port };
        for _ in 0..500 {
            if TcpStream::connect(("localhost", port)).is_ok() {
                return Ok(broker);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err("mosquitto does not start".into())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}
