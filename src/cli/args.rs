//! What can be written on the command line. docs/cli.md, the man page and the completions are made of this.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Shard;

const EXIT_STATUS: &str = "\
Exit status of check: 0 all targets are ok, 1 at least one failed, 3 none failed but at least one is inconclusive \
(the trouble is on this side). Of explain --error: 1 nothing in the text was recognised. Of doctor: 1 at least one finding is a problem. Of alerts, incidents, silence: \
1 the daemon would not do it, 69 no daemon answers. Every command: 2 the command line is wrong, 74 the output cannot be written, \
78 the configuration is bad.";

/// Why'd it fail? Asks the things that a service depends on, and names why one fails.
#[derive(Parser)]
#[command(name = "whyd", version, after_help = EXIT_STATUS)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    propagate_version = false
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// When to use colour; auto looks at the terminal, NO_COLOR and CLICOLOR.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// How log lines are written to standard error. Without it: journald where standard error is systemd's journal, text
    /// anywhere else.
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, trace, or directives as RUST_LOG has them, which it replaces.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// Into systemd's journal, with fields; lines with priorities and without times where there is none.
    Journald,
}

#[derive(Subcommand)]
pub enum Command {
    /// Ask targets now, and say of each whether it answers and why not.
    Check(Box<CheckArgs>),
    /// Watch the dependencies of a configuration.
    Run(RunArgs),
    /// Check a configuration and report every mistake at once.
    Validate(ValidateArgs),
    /// Say what a cause means, or of what cause an error text speaks; without an argument list all causes.
    Explain(ExplainArgs),
    /// Show what a running daemon has raised; with a dependency, every rule for it with the numbers compared. Or
    /// try a receiver.
    Alerts(Box<AlertsArgs>),
    /// Show the incidents that are open: alerts that hang together, who was told of them and when.
    Incidents(Box<ApiArgs>),
    /// Have nobody told of some alerts for a while.
    Silence(Box<SilenceArgs>),
    /// Print rules for Prometheus that judge as whyd's own alerts do.
    Rules(RulesArgs),
    /// Check the host that it runs on: resolver, routes, limits, clock, ping, state directory, trust, listener, and
    /// whether exporters and receivers can be reached. Says what to fix.
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the configuration file, for editors.
    Schema,
    /// Start a lab of misbehaving dependencies on this machine and watch it.
    Demo(DemoArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man,
}

/// The options are the keys of the configuration. It has no `Debug`: headers, data and proxies may hold secrets.
#[derive(Args)]
pub struct CheckArgs {
    /// What to ask: https://host/path, http://…, tcp://host:port, tls://host:port, dns://resolver/name?type=A,
    /// icmp://host, grpc://host:port/service (grpcs:// with TLS), ws://… and wss://…, or a service: smtp, pop3, imap,
    /// ftp, redis, postgres, mysql, memcached, amqp, nats, ssh, ldap (as in postgres://host); a bare host or host:port is
    /// understood and said out loud.
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// How the diagnosis is printed; json is one object a line.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub output: OutputFormat,
    /// Make every second look that there is, not just the gentle ones.
    #[arg(long)]
    pub deep: bool,
    #[command(flatten)]
    pub request: RequestArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Request")]
pub struct RequestArgs {
    /// Method of the HTTP request.
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub method: Option<String>,
    /// A header of the request, as 'Name: value'; may repeat.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// The request's body; @FILE takes it from a file, @- from standard input.
    #[arg(short, long, value_name = "TEXT|@FILE")]
    pub data: Option<String>,
    /// The status that is expected, such as 204, 2xx or 200,301-303.
    #[arg(long, value_name = "STATUS")]
    pub expect_status: Option<String>,
    /// Days for which every certificate that is needed must still be valid.
    #[arg(long, value_name = "DAYS")]
    pub expect_cert_days: Option<u32>,
    /// HTTP version; without it, what the server agrees to.
    #[arg(long, value_enum, value_name = "VERSION")]
    pub http: Option<HttpVersionArg>,
}

#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Proxy to go through, as http://[user:password@]host:port.
    #[arg(short = 'x', long, value_name = "URL")]
    pub proxy: Option<String>,
    /// Use IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Use IPv6 only.
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Nameserver to ask instead of the system's, as IP or IP:port; may repeat.
    #[arg(long = "resolver", value_name = "IP[:PORT]")]
    pub resolvers: Vec<String>,
    /// Whom to ask whether it is us when a target falls silent, as a URL such as tcp://192.0.2.1:53; may repeat.
    #[arg(long = "anchor", value_name = "URL")]
    pub anchors: Vec<String>,
    /// PEM file with certificates to trust besides the system's; may repeat.
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// File with certificate revocation lists, PEM or DER; may repeat.
    #[arg(long, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// Fetch a missing intermediate certificate from where the certificate says, to prove that it is missing.
    #[arg(long)]
    pub aia: bool,
    /// PEM file with the client certificate's chain, and its key unless --client-key has it.
    #[arg(long, value_name = "FILE")]
    pub client_cert: Option<PathBuf>,
    /// PEM file with the client certificate's key.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// Go over to TLS within the conversation (smtp://, pop3://, imap://, ftp://, ldap://, postgres://, mysql://).
    #[arg(long)]
    pub starttls: bool,
    /// Name for SNI and for the certificate, instead of the target's host.
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Budgets (such as 300ms, 5s, 2m; a smaller one lowers those inside it)")]
pub struct BudgetArgs {
    /// For everything, retries included.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// For one attempt.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub attempt_timeout: Option<Duration>,
    /// For resolving the name.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub resolve_timeout: Option<Duration>,
    /// For connecting.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub connect_timeout: Option<Duration>,
    /// For the TLS handshake.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub tls_timeout: Option<Duration>,
    /// For the wait for the response.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub first_byte_timeout: Option<Duration>,
    /// For a gap within the response's body.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub body_timeout: Option<Duration>,
    /// How often a failed attempt may be repeated; 0 means one attempt.
    #[arg(long, value_name = "NUMBER")]
    pub retries: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HttpVersionArg {
    #[value(name = "1.1")]
    Http1,
    #[value(name = "2")]
    Http2,
}

#[derive(Args)]
pub struct RunArgs {
    /// A file, or a directory whose *.yaml and *.yml files are merged.
    #[arg(short, long, value_name = "PATH")]
    pub config: PathBuf,
    /// Where to listen for metrics, API and health, instead of the configured address.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Directory for what must survive a restart: measured idle timeouts. Without it nothing does.
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// Read the configuration again when its files have changed, as SIGHUP has it done: for ConfigMaps and Secrets that
    /// Kubernetes mounts.
    #[arg(long)]
    pub watch_config: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Which of several replicas this is.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArgs {
    /// Watch the share of one of several replicas: K/N for the one of that number of N, from 0, or `auto` for the ordinal at
    /// the end of POD_NAME or of the host's name. It goes before what the configuration says.
    #[arg(long, value_name = "auto|K/N", env = "WHYD_SHARD", hide_env_values = true)]
    pub shard: Option<Shard>,
    /// Where it watches from, such as eu-1: the label `location` of its series and alerts.
    #[arg(long, value_name = "NAME", env = "WHYD_LOCATION", hide_env_values = true)]
    pub location: Option<String>,
}

#[derive(Args)]
pub struct ValidateArgs {
    /// A file, or a directory whose *.yaml and *.yml files are merged.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Print the effective configuration, with all defaults and without secrets.
    #[arg(long)]
    pub dump: bool,
    /// Print nothing: the exit status tells.
    #[arg(short, long, conflicts_with = "dump")]
    pub quiet: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Args)]
pub struct ExplainArgs {
    /// A cause's id, such as tls.cert.date_invalid.expired.
    #[arg(value_name = "CAUSE", conflicts_with = "error")]
    pub cause: Option<String>,
    /// Say which cause an error text of another program speaks of: a message or a traceback of Python, Node, Go, Java,
    /// .NET, Rust, curl and others. Without TEXT, or with `-`, it is read from standard input.
    #[arg(short, long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "-", allow_hyphen_values = true)]
    pub error: Option<String>,
    /// How the explanation of an error text is printed; json is one object.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT", requires = "error")]
    pub output: OutputFormat,
}

#[derive(Args)]
pub struct DoctorArgs {
    /// The configuration: a file, or a directory whose *.yaml and *.yml files are merged. Without it only what every
    /// configuration needs is looked at.
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Where the daemon listens, instead of the configured address.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// The daemon's directory for what must survive a restart.
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// How the findings are printed; json is one object a line.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub output: OutputFormat,
}

#[derive(Args)]
pub struct RulesArgs {
    /// Write the dashboards for Grafana into this directory instead, and print their names.
    #[arg(long, value_name = "DIR")]
    pub dashboards: Option<PathBuf>,

    /// Print the rules for several locations that watch the same instead: an alert when enough of them see it fail. They
    /// stand beside the others and take figures from them.
    #[arg(long, conflicts_with = "dashboards")]
    pub locations: bool,
}

/// Where a running daemon is asked. It has no `Debug` for the sake of those that hold it.
#[derive(Args, Clone)]
#[command(next_help_heading = "The daemon")]
pub struct ApiArgs {
    /// Where it listens.
    #[arg(
        long,
        value_name = "URL",
        env = "WHYD_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:9477"
    )]
    pub url: String,
    /// User, where the listener asks for one.
    #[arg(long, value_name = "NAME", env = "WHYD_USER", hide_env_values = true)]
    pub user: Option<String>,
    /// File with the user's password.
    #[arg(long, value_name = "FILE", env = "WHYD_PASSWORD_FILE", hide_env_values = true)]
    pub password_file: Option<PathBuf>,
    /// File with the token, where the listener asks for one. WHYD_TOKEN may hold the token itself.
    #[arg(long, value_name = "FILE", env = "WHYD_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// PEM file with certificates to trust besides the system's; may repeat.
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// How the answer is printed; json is what the daemon answers.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub output: OutputFormat,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsArgs {
    #[command(subcommand)]
    pub command: Option<AlertsCommand>,
    #[command(flatten)]
    pub show: ShowAlertsArgs,
}

#[derive(Args)]
pub struct ShowAlertsArgs {
    /// Say of each rule for this dependency and its host whether it holds, and why or why not.
    #[arg(value_name = "DEPENDENCY", conflicts_with = "monitor")]
    pub dependency: Option<String>,
    /// The same for the rules about whyd itself.
    #[arg(long)]
    pub monitor: bool,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Args)]
pub struct SilenceArgs {
    #[command(subcommand)]
    pub command: SilenceCommand,
}

#[derive(Subcommand)]
pub enum SilenceCommand {
    /// Make a silence, and say its id.
    Add(SilenceAddArgs),
    /// List silences and maintenance windows that have not ended.
    List(ApiArgs),
    /// End silences.
    End(SilenceEndArgs),
}

#[derive(Args)]
pub struct SilenceAddArgs {
    /// Which alerts: all must match. Labels are your own and dependency, host, alert, severity, cause; * stands for any run
    /// of characters, != for what must not match. As in dependency=payments env!=test.
    #[arg(required = true, value_name = "LABEL=PATTERN")]
    pub matchers: Vec<String>,
    /// How long it lasts, such as 30m, 2h, 1d.
    #[arg(
        long = "for",
        value_name = "DURATION",
        required_unless_present = "until",
        conflicts_with = "until"
    )]
    pub for_: Option<String>,
    /// When it ends, such as 2026-11-24T18:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// When it begins, unless now.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who you are; without it, USER.
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Args)]
pub struct SilenceEndArgs {
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Subcommand)]
pub enum AlertsCommand {
    /// Send a real test notification to a receiver, and its end where the receiver keeps states.
    Test(AlertsTestArgs),
}

#[derive(Args)]
#[command(
    after_help = "Exit status: 0 it was accepted, 1 it was not, 2 there is no such receiver, 78 the configuration is bad."
)]
pub struct AlertsTestArgs {
    /// The receiver's name in the configuration; of several peers, all are tried.
    #[arg(value_name = "RECEIVER")]
    pub receiver: String,
    /// A file, or a directory whose *.yaml and *.yml files are merged.
    #[arg(short, long, value_name = "PATH")]
    pub config: PathBuf,
}

#[derive(Args)]
pub struct DemoArgs {
    /// End after this long; without it, Ctrl-C ends it.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub for_: Option<Duration>,
}

#[derive(Args)]
pub struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// A duration with its unit: `300ms`, `5s`, `1.5s`, `2m`, `1h`. Zero is refused.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "" => return Err(format!("a unit is missing: {text}s? (ms, s, m or h)")),
        _ => return Err(format!("{unit:?} is not a unit: use ms, s, m or h")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "a number is needed, such as 5s or 300ms".to_owned())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration.is_zero() => Err("it must be more than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("it is too long".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit_and_are_more_than_zero() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3_600)));
        for wrong in [
            "5",
            "0s",
            "0ms",
            "s",
            "5 s",
            "-1s",
            "5d",
            "1e3s",
            "1..2s",
            "99999999999999999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_of_one_target_are_read() {
        let args = [
            "whyd",
            "check",
            "-X",
            "POST",
            "-H",
            "A: b",
            "-d",
            "{}",
            "--retries",
            "0",
            "-4",
            "--timeout",
            "5s",
            "-o",
            "json",
            "https://a/",
            "b:1",
        ];
        let Command::Check(check) = Cli::try_parse_from(args)
            .unwrap_or_else(|e| panic!("{e}"))
            .command
        else {
            panic!("not check");
        };
        assert_eq!(check.targets, ["https://a/", "b:1"]);
        assert_eq!(check.request.method.as_deref(), Some("POST"));
        assert_eq!(check.request.headers, ["A: b"]);
        assert_eq!(check.budget.retries, Some(0));
        assert_eq!(check.budget.timeout, Some(Duration::from_secs(5)));
        assert!(check.connection.ipv4 && !check.connection.ipv6);
        assert_eq!(check.output, OutputFormat::Json);
    }
}
