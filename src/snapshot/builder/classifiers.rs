//! Starting the classifiers of a snapshot, and keeping those that serve.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use pointsman_classifier::{
    Bundle, BundleError, Classifier, ClassifierError, ClassifierHost, EncoderOutage, Manifest, OnnxRuntime,
    ShadowClassifier,
};
use pointsman_core::config;
use pointsman_core::config::{Config, ConfigProblem, Name};
use pointsman_core::policy::PolicySet;
use pointsman_core::scores::ClassifierFailure;

use super::remote_classifiers::RemoteContext;
use super::{BuildError, SnapshotBuilder};
use crate::snapshot::Snapshot;
use crate::snapshot::classifier_handle::ClassifierHandle;
use crate::snapshot::state::ClassifierState;

impl SnapshotBuilder {
    /// Starts the configuration's classifiers, or takes over those that serve, and checks that their heads know the
    /// labels that policies ask for.
    pub(super) fn classifiers(
        &self,
        config: &Config,
        policies: &PolicySet,
        remotes: &RemoteContext<'_>,
        previous: Option<&Snapshot>,
    ) -> Result<BTreeMap<Name, ClassifierState>, BuildError> {
        let (mut classifiers, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, section) in &config.classifiers {
            let Some(server) = &section.remote else {
                let state = self.bundle(name, section, previous)?;
                problems.extend(label_problems(policies, name, &state));
                classifiers.insert(name.clone(), state);
                continue;
            };
            // The bundle behind a server has to know the same labels.
            let bundle = match section.bundle {
                Some(_) => Some(self.bundle(name, section, previous)?),
                None => None,
            };
            problems.extend(bundle.iter().flat_map(|bundle| label_problems(policies, name, bundle)));
            let (bundle, missing) = match bundle {
                Some(ClassifierState::Ready(ready)) => (ready.bundle().cloned(), None),
                Some(ClassifierState::Unavailable { reason, detail }) => {
                    (None, Some(format!("{}: {detail}", reason.as_str())))
                }
                None => (None, None),
            };
            match self.remote(name, server, remotes, policies) {
                Ok(remote) => {
                    let handle = ClassifierHandle::remote(remote, bundle, missing);
                    classifiers.insert(name.clone(), ClassifierState::Ready(handle));
                }
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(classifiers) } else { Err(self.problems(problems).into()) }
    }

    /// Starts the bundle of a classifier, which may have to run on its device.
    fn bundle(
        &self,
        name: &Name,
        section: &config::ClassifierConfig,
        previous: Option<&Snapshot>,
    ) -> Result<ClassifierState, BuildError> {
        let state = self.classifier(name, section, previous)?;
        if let (true, ClassifierState::Unavailable { reason, detail }) = (section.require, &state) {
            let (name, reason, detail) = (name.clone(), *reason, detail.clone());
            return Err(BuildError::Required { name, reason, detail });
        }
        Ok(state)
    }

    /// Starts a classifier, or takes the one over that serves the same bundle on the same terms.
    ///
    /// Where the encoder cannot run, the lexical heads stand in if the bundle has some. Weights that serve are not
    /// given up for weights that do not.
    fn classifier(
        &self,
        name: &Name,
        section: &config::ClassifierConfig,
        previous: Option<&Snapshot>,
    ) -> Result<ClassifierState, BuildError> {
        let before = previous.and_then(|snapshot| match snapshot.classifiers.get(name)? {
            ClassifierState::Ready(ready) => Some((ready.bundle()?, snapshot.config.classifiers.get(name)?)),
            ClassifierState::Unavailable { .. } => None,
        });
        let is_up = before.is_some_and(|(classifier, _)| !classifier.is_down());
        let refuse = |source: ClassifierError| {
            if before.is_some() {
                return Err(BuildError::Classifier { name: name.clone(), source });
            }
            Ok(ClassifierState::Unavailable {
                reason: ClassifierFailure::BundleUnavailable,
                detail: source.to_string(),
            })
        };
        let folder = section.folder(self.base_dir()).unwrap_or_default(); // validation refuses a section without one
        // Hashed as a whole: a manifest that did not change says nothing about a file that rotted.
        if let Some((classifier, terms)) = before
            && is_up
            && !classifier.is_sick()
            && terms.runs_like(section)
            && Bundle::verify(&folder).is_ok_and(|identity| identity == *classifier.identity())
        {
            return Ok(ready(classifier.clone()));
        }
        let bundle = match self.open(&folder, section) {
            Ok(bundle) => bundle,
            Err(source) => return refuse(source.into()),
        };
        if !(bundle.needs_encoder() || section.embeds) {
            let started = Classifier::start_lexical(name, section, &self.metrics, bundle, None);
            return started.map(ready).or_else(refuse);
        }
        let runtime = match self.runtime.get_or_init(load_runtime) {
            Ok(runtime) => runtime,
            Err(detail) => {
                return Ok(self.without_encoder(name, section, ClassifierFailure::RuntimeMissing, detail.clone()));
            }
        };
        match Classifier::start_bundle(name, section, &self.host(runtime), bundle) {
            Ok(classifier) => Ok(ready(classifier)),
            Err(source) if is_up => refuse(source),
            Err(error) => {
                Ok(self.without_encoder(name, section, ClassifierFailure::BundleUnavailable, error.to_string()))
            }
        }
    }

    /// Reads a bundle, and meanwhile loads the library that will run it, if one will.
    fn open(&self, folder: &Path, section: &config::ClassifierConfig) -> Result<Bundle, BundleError> {
        let is_run = |manifest: Manifest| manifest.names_embedding() || section.embeds;
        if self.runtime.get().is_some() || !Bundle::read_manifest(folder).is_ok_and(is_run) {
            return Bundle::open(folder);
        }
        thread::scope(|scope| {
            let load = || self.runtime.get_or_init(load_runtime).is_ok();
            // Without a thread it is loaded later.
            let _ = thread::Builder::new().name("runtime".into()).spawn_scoped(scope, load);
            Bundle::open(folder)
        })
    }

    /// Starts the shadows, and keeps those that did not change. One that cannot start is off, and nothing else.
    pub(super) fn shadows(
        &self,
        config: &Config,
        policies: &PolicySet,
        classifiers: &BTreeMap<Name, ClassifierState>,
        previous: Option<&Snapshot>,
    ) -> BTreeMap<Name, Arc<ShadowClassifier>> {
        let start = |(name, section): (&Name, &config::ClassifierConfig)| {
            let terms = section.shadow.as_ref()?;
            let Some(ClassifierState::Ready(live)) = classifiers.get(name) else {
                return Some((
                    name.clone(),
                    Arc::new(ShadowClassifier::off(terms, "the classifier does not serve".to_owned())),
                ));
            };
            let labels = |head: &Name| Some((head.clone(), live.labels(head)?.to_vec()));
            let heads: Vec<_> = policies.heads_of(name).filter_map(labels).collect();
            let before = previous.and_then(|snapshot| snapshot.shadows.get(name));
            if let Some(before) = before.filter(|shadow| shadow.is_current(terms, self.base_dir(), &heads)) {
                return Some((name.clone(), Arc::clone(before)));
            }
            let shadow = match self.runtime.get_or_init(load_runtime) {
                Ok(runtime) => ShadowClassifier::start(name, terms, &self.host(runtime), &heads),
                Err(detail) => ShadowClassifier::off(terms, detail.clone()),
            };
            Some((name.clone(), Arc::new(shadow)))
        };
        config.classifiers.iter().filter_map(start).collect()
    }

    fn host(&self, runtime: &Arc<OnnxRuntime>) -> ClassifierHost {
        let metrics = Arc::clone(&self.metrics);
        ClassifierHost { base_dir: self.base_dir().to_owned(), runtime: Arc::clone(runtime), metrics }
    }

    /// Starts the lexical heads of a bundle whose encoder cannot run, unless the configuration insists on the encoder.
    fn without_encoder(
        &self,
        name: &Name,
        section: &config::ClassifierConfig,
        reason: ClassifierFailure,
        detail: String,
    ) -> ClassifierState {
        let outage = EncoderOutage { reason, detail: detail.clone() };
        let start = || {
            let bundle = Bundle::open(&section.folder(self.base_dir()).unwrap_or_default())?;
            Classifier::start_lexical(name, section, &self.metrics, bundle, Some(outage))
        };
        match section.require {
            false => start().map_or(ClassifierState::Unavailable { reason, detail }, ready),
            true => ClassifierState::Unavailable { reason, detail },
        }
    }
}

fn ready(bundle: Classifier) -> ClassifierState {
    ClassifierState::Ready(ClassifierHandle::Bundle(bundle))
}

/// Finds what policies read of a classifier that serves and is not there.
fn label_problems(policies: &PolicySet, name: &Name, state: &ClassifierState) -> Vec<ConfigProblem> {
    match state {
        ClassifierState::Ready(classifier) => policies.check_labels(name, classifier.heads()),
        ClassifierState::Unavailable { .. } => Vec::new(),
    }
}

fn load_runtime() -> Result<Arc<OnnxRuntime>, String> {
    let runtime = OnnxRuntime::load();
    match &runtime {
        Ok(runtime) => {
            tracing::info!(path = %runtime.path().display(), version = runtime.version(), "ONNX Runtime loaded");
        }
        Err(error) => tracing::error!("ONNX Runtime is missing, prompts will not be classified: {error}"),
    }
    runtime.map_err(|error| error.to_string())
}
