//! How the classifier saturates: latency, throughput and CPU per prompt at 1, 8, 32 and 128 callers, beside the bare ONNX
//! Runtime calls on the same tokens. Writes a table (`docs/saturation.md`) and a curve (`docs/saturation.svg`).
//!
//! `cargo bench --bench saturation -- [--seconds 10] [--out docs] [--int8 DIR] [--fp32 DIR]`; a bundle that is not there is left
//! out, and so are lexical heads that the first bundle does not have. Nothing else should run on the machine.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use ort::session::Session;
use ort::value::Tensor;
use pointsman_classifier::{
    Bundle, Classifier, ClassifierHost, EncoderOutage, OnnxRuntime, ScoreRequest, ScoredHeads, TokenIds,
};
use pointsman_core::config;
use pointsman_core::config::{Name, TimeSpan};
use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_core::scores::ClassifierFailure;
use pointsman_telemetry::Metrics;

const CALLERS: [usize; 4] = [1, 8, 32, 128];

/// Sizes of the fixed batches that the classifier's own are compared with.
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Long enough for every caller of the largest load.
const PATIENCE: Duration = Duration::from_secs(60);

struct Options {
    seconds: f64,
    out: PathBuf,
    bundles: Vec<(&'static str, PathBuf)>,
}

/// One prompt with all that a proxy would have computed before.
struct Question {
    text: String,
    features: Features,
}

/// One load on one system.
struct Point {
    callers: usize,
    p50: f64,
    p99: f64,
    /// Prompts a second.
    rate: f64,
    /// Milliseconds of CPU, of all threads together.
    cpu: f64,
}

struct System {
    name: String,
    points: Vec<Point>,
    /// The median of the bare call, in milliseconds, and prompts a second of the best fixed batch with its size.
    raw: Option<(f64, f64, usize)>,
}

fn main() -> Result<()> {
    let options = Options::parse()?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let host =
        ClassifierHost { base_dir: root.clone(), runtime: OnnxRuntime::load()?, metrics: Arc::new(Metrics::new()) };
    let questions = Arc::new(questions(&root)?);
    let mut systems = Vec::new();
    if let Some((_, folder)) = options.bundles.first()
        && let Some(classifier) = lexical(&host, folder)
    {
        let points = curve(&classifier, &questions, options.seconds)?;
        systems.push(System { name: "lexical".to_owned(), points, raw: None });
    }
    for (name, folder) in &options.bundles {
        let Ok(bundle) = Bundle::open(&root.join(folder)) else {
            eprintln!("{name}: no bundle in {}, left out", folder.display());
            continue;
        };
        let raw = raw(&host.runtime, &bundle, &questions, options.seconds)?;
        let classifier = start(&host, bundle)?;
        let points = curve(&classifier, &questions, options.seconds)?;
        systems.push(System { name: (*name).to_owned(), points, raw: Some(raw) });
    }
    let table = table(&systems);
    print!("{table}");
    let out = root.join(&options.out);
    fs::write(out.join("saturation.md"), page(&table, options.seconds))?;
    fs::write(out.join("saturation.svg"), svg(&systems))?;
    Ok(())
}

impl Options {
    fn parse() -> Result<Self> {
        let mut options =
            Self { seconds: 10.0, out: "docs".into(), bundles: vec![("int8", "models/pointsman-mini".into())] };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(key) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{key} needs a value"))?;
            match key.as_str() {
                "--seconds" => options.seconds = value.parse()?,
                "--out" => options.out = value.into(),
                "--int8" => options.bundles[0].1 = value.into(),
                "--fp32" => options.bundles.push(("fp32", value.into())),
                _ => bail!("{key} is not known (allowed: --seconds, --out, --int8, --fp32)"),
            }
        }
        Ok(options)
    }
}

fn questions(root: &Path) -> Result<Vec<Question>> {
    let texts: Vec<String> = serde_json::from_slice(&fs::read(root.join("tests/fixtures/prompts.json"))?)?;
    let counter = TokenCounter::new();
    texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .map(|text| {
            let body =
                serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]}).to_string();
            let features = Features::of(&Prompt::parse(Dialect::ChatCompletions, body.as_bytes())?, &counter);
            Ok(Question { text, features })
        })
        .collect()
}

fn section() -> config::ClassifierConfig {
    config::ClassifierConfig {
        deadline: TimeSpan(PATIENCE),
        queue: 256,
        cache: config::ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
        cascade: config::LexicalCascade { enabled: false, confidence: None },
        ..config::ClassifierConfig::of("unused")
    }
}

fn start(host: &ClassifierHost, bundle: Bundle) -> Result<Classifier> {
    let name = Name::new("bench").map_err(|error| anyhow!(error))?;
    Ok(Classifier::start_bundle(&name, &section(), host, bundle)?)
}

/// Starts the lexical heads of a bundle, as they serve when the encoder cannot.
fn lexical(host: &ClassifierHost, folder: &Path) -> Option<Classifier> {
    let bundle = Bundle::open(&host.base_dir.join(folder)).ok()?;
    let outage = EncoderOutage { reason: ClassifierFailure::RuntimeMissing, detail: "a benchmark".to_owned() };
    let started = Classifier::start_lexical(&Name::new("bench").ok()?, &section(), &host.metrics, bundle, Some(outage));
    started.inspect_err(|error| eprintln!("lexical: left out: {error}")).ok()
}

fn curve(classifier: &Classifier, questions: &Arc<Vec<Question>>, seconds: f64) -> Result<Vec<Point>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    CALLERS.iter().map(|callers| runtime.block_on(point(classifier, questions, *callers, seconds))).collect()
}

/// Lets `callers` ask one after the other, each for itself, for a while.
async fn point(classifier: &Classifier, questions: &Arc<Vec<Question>>, callers: usize, seconds: f64) -> Result<Point> {
    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    let until = started + Duration::from_secs_f64(seconds);
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (classifier, questions) = (classifier.clone(), Arc::clone(questions));
            tokio::spawn(async move {
                let mut times = Vec::new();
                // Everybody starts elsewhere, so that the texts of a batch differ.
                for question in questions.iter().cycle().skip(caller * 17) {
                    let asked = Instant::now();
                    if asked >= until {
                        break;
                    }
                    let deadline = tokio::time::Instant::from_std(asked + PATIENCE);
                    let ask = ScoreRequest {
                        text: &question.text,
                        features: &question.features,
                        deadline,
                        heads: &[],
                        scored: ScoredHeads::All,
                    };
                    classifier.score(ask).await.map_err(|reason| anyhow!(reason.as_str()))?;
                    times.push(asked.elapsed().as_secs_f64() * 1e3);
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let (took, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    times.sort_by(f64::total_cmp);
    let prompts = times.len() as f64;
    let at = |share: f64| times[((prompts * share) as usize).min(times.len() - 1)];
    Ok(Point { callers, p50: at(0.5), p99: at(0.99), rate: prompts / took, cpu: cpu / prompts * 1e3 })
}

/// Runs the bare session in a loop: alone, then in batches of each size over texts in their order.
fn raw(runtime: &OnnxRuntime, bundle: &Bundle, questions: &[Question], seconds: f64) -> Result<(f64, f64, usize)> {
    let mut session = session(runtime, bundle.model()).map_err(|error| anyhow!("{error}"))?;
    let budget = bundle.tokenizer().budget();
    let tokens = questions.iter().map(|question| bundle.tokenizer().tokens(&budget.excerpt(&question.text)));
    let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
    let (mut median, mut best) = (0.0, (0.0, 1));
    for batch in BATCHES {
        let (mut times, mut rows) = (Vec::new(), 0_usize);
        let started = Instant::now();
        for chunk in tokens.chunks(batch).cycle() {
            if started.elapsed().as_secs_f64() >= seconds {
                break;
            }
            let run = Instant::now();
            run_once(&mut session, chunk, &bundle.manifest().encoder.output)?;
            times.push(run.elapsed().as_secs_f64() * 1e3);
            rows += chunk.len();
        }
        let rate = rows as f64 / started.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        if batch == 1 {
            median = times[times.len() / 2];
        }
        if rate > best.0 {
            best = (rate, batch);
        }
    }
    Ok((median, best.0, best.1))
}

fn session(runtime: &OnnxRuntime, model: &[u8]) -> ort::Result<Session> {
    Session::builder(runtime.environment())?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .commit_from_memory(model)
}

fn run_once(session: &mut Session, batch: &[TokenIds], output: &str) -> Result<()> {
    let width = batch.iter().map(|tokens| tokens.ids.len()).max().unwrap_or_default();
    let (mut ids, mut mask) = (vec![0_i64; batch.len() * width], vec![0_i64; batch.len() * width]);
    for (row, tokens) in batch.iter().enumerate() {
        let cells = row * width..row * width + tokens.ids.len();
        ids[cells.clone()].copy_from_slice(&tokens.ids);
        mask[cells].fill(1);
    }
    let tensor = |values: Vec<i64>| Tensor::from_array(([batch.len(), width], values)).map_err(|e| anyhow!("{e}"));
    let zeros = vec![0_i64; batch.len() * width];
    let inputs = ort::inputs![
        "input_ids" => tensor(ids)?,
        "attention_mask" => tensor(mask)?,
        "token_type_ids" => tensor(zeros)?,
    ];
    let outputs = session.run(inputs).map_err(|error| anyhow!("{error}"))?;
    std::hint::black_box(outputs[output].try_extract_tensor::<f32>().map_err(|error| anyhow!("{error}"))?.1[0]);
    Ok(())
}

/// Returns the CPU time of this process, all threads, in seconds: Linux only.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().filter_map(|index| fields.get(*index)?.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

fn table(systems: &[System]) -> String {
    let mut text = "| what | callers | p50 ms | p99 ms | prompts/s | CPU ms a prompt | beside the bare calls |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for system in systems {
        for point in &system.points {
            let Point { callers, p50, p99, rate, cpu } = point;
            let beside = system.raw.map_or(String::new(), |(raw, best, batch)| match callers {
                1 => format!("{:.2} x the bare call ({raw:.3} ms)", p50 / raw),
                _ => format!("{:.2} x the best fixed batch ({best:.0}/s at {batch})", rate / best),
            });
            let name = &system.name;
            writeln!(text, "| {name} | {callers} | {p50:.3} | {p99:.3} | {rate:.0} | {cpu:.3} | {beside} |")
                .expect("writing to a string");
        }
    }
    text
}

fn page(table: &str, seconds: f64) -> String {
    format!(
        "# Saturation\n\nWritten by `cargo bench --bench saturation -- --seconds {seconds}`: callers ask one after the other, without a \
         cache or a cascade, one worker with one thread; 200 prompts of `tests/fixtures/prompts.json`. CPU is that of the whole \
         process, callers included.\n\n{table}\n![Latency over throughput](saturation.svg)\n"
    )
}

/// Draws the latency over the throughput, both axes logarithmic: p50 as a line, p99 as a dashed one.
fn svg(systems: &[System]) -> String {
    const COLOURS: [&str; 3] = ["#2a7f62", "#2b5fa8", "#b3541e"];
    let axes = Axes::of(systems);
    let mut body = axes.grid();
    for (index, (system, colour)) in systems.iter().zip(COLOURS).enumerate() {
        body += &axes.curve(system, colour);
        body +=
            &format!("<text x='80' y='{}' fill='{colour}' font-weight='bold'>{}</text>", 58 + index * 16, system.name);
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 410' font-family='sans-serif' font-size='11'>\
         <style>.grid{{stroke:#ddd}}</style><rect width='640' height='410' fill='white'/>\
         <text x='70' y='24' font-size='14'>Latency over throughput, by callers (p50 solid, p99 dashed)</text>{body}\
         <text x='340' y='400' text-anchor='middle'>prompts a second</text>\
         <text x='16' y='200' text-anchor='middle' transform='rotate(-90 16 200)'>milliseconds</text></svg>\n"
    )
}

/// What is read of a point.
type Measure = fn(&Point) -> f64;

/// Powers of ten at the ends of the axes.
struct Axes {
    rate: (f64, f64),
    latency: (f64, f64),
}

impl Axes {
    fn of(systems: &[System]) -> Self {
        let all = || systems.iter().flat_map(|system| &system.points);
        let bounds = |values: Vec<f64>| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min).log10().floor();
            let most = values.iter().copied().fold(0.0, f64::max).log10().ceil();
            (least, most.max(least + 1.0))
        };
        Self {
            rate: bounds(all().map(|point| point.rate).collect()),
            latency: bounds(all().flat_map(|point| [point.p50, point.p99]).collect()),
        }
    }

    fn x(&self, rate: f64) -> f64 {
        70.0 + (rate.log10() - self.rate.0) / (self.rate.1 - self.rate.0) * 540.0
    }

    fn y(&self, ms: f64) -> f64 {
        360.0 - (ms.log10() - self.latency.0) / (self.latency.1 - self.latency.0) * 320.0
    }

    fn grid(&self) -> String {
        let powers = |(least, most): (f64, f64)| (least as i32..=most as i32).map(|power| 10_f64.powi(power));
        let upright = powers(self.rate).map(|label| {
            let at = self.x(label);
            format!(
                "<path class='grid' d='M{at:.1} 40V360'/><text x='{at:.1}' y='378' text-anchor='middle'>{label}</text>"
            )
        });
        let level = powers(self.latency).map(|label| {
            let (at, base) = (self.y(label), self.y(label) + 4.0);
            format!(
                "<path class='grid' d='M70 {at:.1}H610'/><text x='62' y='{base:.1}' text-anchor='end'>{label}</text>"
            )
        });
        upright.chain(level).collect()
    }

    fn curve(&self, system: &System, colour: &str) -> String {
        let line = |(dash, value): (&str, Measure)| {
            let points = system.points.iter().map(|p| format!("{:.1},{:.1} ", self.x(p.rate), self.y(value(p))));
            let points: String = points.collect();
            format!("<polyline fill='none' stroke='{colour}' stroke-width='2'{dash} points='{points}'/>")
        };
        let lines: [(&str, Measure); 2] = [("", |p| p.p50), (" stroke-dasharray='5 4'", |p| p.p99)];
        let callers = system.points.iter().map(|point| {
            let (x, y, callers) = (self.x(point.rate), self.y(point.p50), point.callers);
            let (right, above) = (x + 5.0, y - 5.0);
            format!("<circle cx='{x:.1}' cy='{y:.1}' r='3' fill='{colour}'/><text x='{right:.1}' y='{above:.1}'>{callers}</text>")
        });
        lines.into_iter().map(line).chain(callers).collect()
    }
}
