//! The stand-in's side of HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::store::{Change, Definition, Object, Refusal, Selection, api_version};
use super::{Asked, Request, Shared};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// How long a watch lasts that did not say.
const LONGEST_WATCH: Duration = Duration::from_secs(3600);

/// What the path says.
struct Path {
    group: String,
    version: String,
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

impl Path {
    fn parse(path: &str) -> Option<Path> {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version) = match *parts.as_slice() {
            ["api", version, ..] => ("", version),
            ["apis", group, version, ..] => (group, version),
            _ => return None,
        };
        parts.drain(..if group.is_empty() { 2 } else { 3 });
        let namespace = match *parts.as_slice() {
            ["namespaces", namespace, _, ..] => {
                parts.drain(..2);
                Some(namespace.to_owned())
            }
            _ => None,
        };
        let mut parts = parts.into_iter().map(str::to_owned);
        Some(Path {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: parts.next()?,
            namespace,
            name: parts.next(),
            subresource: parts.next(),
        })
    }
}

/// The parameters of a query, decoded.
struct Query(Vec<(String, String)>);

impl Query {
    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own == key);
        found.map(|(_, value)| value.as_str())
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| matches!(value, "true" | "1" | ""))
    }
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn json_answer(status: u16, text: String) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(full(text))
        .expect("a response")
}

fn status(Refusal(code, reason, message): &Refusal) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

pub async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let query = Query(
        pairs
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect(),
    );
    let Ok(body) = body.collect().await else {
        return Ok(json_answer(400, String::new()));
    };
    let body = body.to_bytes();
    let Some(path) = Path::parse(head.uri.path()) else {
        return Ok(surroundings(&shared, head.uri.path()));
    };
    let asked = Asked {
        verb: verb(&head.method, &path, &query),
        group: path.group.clone(),
        resource: match &path.subresource {
            Some(sub) => format!("{}/{sub}", path.plural),
            None => path.plural.clone(),
        },
        namespace: path.namespace.clone(),
        name: path.name.clone(),
    };
    let header = |name: &str| {
        head.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or_default())
    };
    let token = header("authorization").strip_prefix("Bearer ");
    let place = {
        let mut manners = shared.manners();
        manners.requests.push(Request {
            asked: asked.clone(),
            version: path.version.clone(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            user_agent: header("user-agent").to_owned(),
            token: token.is_some(),
            status: 0,
        });
        manners.requests.len() - 1
    };
    be_silent_as_told(&shared, asked.verb).await;
    let answered = match admit(&shared, &asked, token) {
        Err(refusal) => Err(refusal),
        Ok(()) => act(&shared, &asked, &path, &query, &head.headers, &body),
    };
    let response = answered.unwrap_or_else(|refusal| match &refusal {
        Refusal(code, "", message) => Response::builder()
            .status(*code)
            .header("content-type", "text/plain; charset=utf-8")
            .body(full(message.clone()))
            .expect("a response"),
        Refusal(code, ..) => json_answer(*code, status(&refusal).to_string()),
    });
    shared.manners().requests[place].status = response.status().as_u16();
    Ok(response)
}

fn verb(method: &Method, path: &Path, query: &Query) -> &'static str {
    match (method.as_str(), &path.name) {
        ("GET", None) if query.flag("watch") => "watch",
        ("GET", None) => "list",
        ("GET", Some(_)) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", Some(_)) => "delete",
        _ => "deletecollection",
    }
}

/// Discovery, version and health.
fn surroundings(shared: &Shared, path: &str) -> Response<Body> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let store = shared.store();
    let text = match *parts.as_slice() {
        ["version"] => json!({"major": "1", "minor": "37", "gitVersion": "v1.37.0"}),
        ["livez" | "readyz" | "healthz"] => json!("ok"),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"]}),
        ["api", version] => return resource_list(&store, "", version),
        ["apis", group, version] => return resource_list(&store, group, version),
        _ => return not_found(),
    };
    json_answer(200, text.to_string())
}

fn resource_list(store: &super::Store, group: &str, version: &str) -> Response<Body> {
    let served = store.definitions().iter();
    let of = served.filter(|(definition, versions)| definition.group == group && versions.contains(&version));
    let resources: Vec<Value> = of
        .map(|(definition, _)| {
            json!({"name": definition.plural, "kind": definition.kind, "namespaced": definition.namespaced,
                   "singularName": "", "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]})
        })
        .collect();
    if resources.is_empty() {
        return not_found();
    }
    let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version),
                      "resources": resources});
    json_answer(200, list.to_string())
}

/// As the API server answers for paths that nothing serves: text, and no Status.
fn not_found() -> Response<Body> {
    Response::builder()
        .status(404)
        .header("content-type", "text/plain; charset=utf-8")
        .body(full("404 page not found\n".to_owned()))
        .expect("a response")
}

async fn be_silent_as_told(shared: &Shared, verb: &str) {
    let mut changed = shared.changed.subscribe();
    while shared.manners().silent == Some(verb) {
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// Authentication, planned faults, then authorisation.
fn admit(shared: &Shared, asked: &Asked, token: Option<&str>) -> Result<(), Refusal> {
    let mut manners = shared.manners();
    if let Some(tokens) = &manners.tokens
        && !token.is_some_and(|token| tokens.contains(token))
    {
        return Err(Refusal(401, "Unauthorized", "Unauthorized".to_owned()));
    }
    let planned = manners
        .faults
        .iter_mut()
        .find(|fault| fault.times > 0 && fault.verb == asked.verb && fault.resource == asked.resource);
    if let Some(fault) = planned {
        fault.times -= 1;
        return Err(Refusal(
            fault.status,
            fault.reason,
            "as the test wishes".to_owned(),
        ));
    }
    let allowed = manners
        .grants
        .as_ref()
        .is_none_or(|grants| grants.iter().any(|grant| grant.covers(asked)));
    if allowed {
        return Ok(());
    }
    let place = match &asked.namespace {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "at the cluster scope".to_owned(),
    };
    let dot = if asked.group.is_empty() { "" } else { "." };
    let message = format!(
        "{}{dot}{} is forbidden: User \"system:serviceaccount:monitoring:whyd\" cannot {} resource {:?} in API group {:?} \
         {place}",
        asked.resource, asked.group, asked.verb, asked.resource, asked.group
    );
    Err(Refusal(403, "Forbidden", message))
}

fn act(
    shared: &Arc<Shared>,
    asked: &Asked,
    path: &Path,
    query: &Query,
    headers: &hyper::HeaderMap,
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    let found = shared
        .store()
        .definition(&path.group, &path.version, &path.plural);
    let Some(definition) = found else {
        return Ok(not_found());
    };
    let accept = headers
        .get("accept")
        .map_or("", |value| value.to_str().unwrap_or_default());
    let shape = Shape {
        definition,
        version: path.version.clone(),
        partial: accept.contains("as=PartialObjectMetadata"),
    };
    if asked.verb == "watch" {
        return begin_watch(shared, shape, path, query);
    }
    let mut store = shared.store();
    if asked.verb == "list" {
        return list(&mut store, &shape, path, query);
    }
    let namespace = path.namespace.clone().unwrap_or_default();
    let name = path.name.clone().unwrap_or_default();
    let written = match asked.verb {
        "get" => store.find(&definition, &namespace, &name).ok_or_else(|| {
            let dot = if definition.group.is_empty() { "" } else { "." };
            let message = format!(
                "{}{dot}{} {name:?} not found",
                definition.plural, definition.group
            );
            Refusal(404, "NotFound", message)
        }),
        "create" => store.create(&definition, sent(body, &namespace, None)?),
        "update" => store.update(&definition, sent(body, &namespace, Some(&name))?),
        "patch" => {
            let patch = serde_json::from_slice(body).map_err(|error| bad_request(&error))?;
            let kind = headers
                .get("content-type")
                .map_or("", |value| value.to_str().unwrap_or_default());
            match kind {
                "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                    store.patch(&definition, &namespace, &name, &patch)
                }
                other => Err(Refusal(
                    415,
                    "UnsupportedMediaType",
                    format!("the stand-in takes no {other}"),
                )),
            }
        }
        "delete" => {
            let options = serde_json::from_slice(body).unwrap_or(Value::Null);
            store.delete(&definition, &namespace, &name, &options)
        }
        other => Err(Refusal(
            405,
            "MethodNotAllowed",
            format!("the stand-in does not {other}"),
        )),
    };
    drop(store);
    let written = written?;
    if asked.verb != "get" {
        shared.wake();
    }
    let code = if asked.verb == "create" { 201 } else { 200 };
    if asked.verb == "delete" {
        let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                          "details": {"name": name, "uid": written.metadata()["uid"]}});
        return Ok(json_answer(code, gone.to_string()));
    }
    Ok(json_answer(code, shape.text(&written)))
}

fn bad_request(error: &dyn std::fmt::Display) -> Refusal {
    Refusal(400, "BadRequest", error.to_string())
}

/// The object of a request, with the namespace of its path.
fn sent(body: &Bytes, namespace: &str, name: Option<&str>) -> Result<Value, Refusal> {
    let mut object: Value = serde_json::from_slice(body).map_err(|error| bad_request(&error))?;
    let metadata = &mut object["metadata"];
    let own = metadata["namespace"].as_str().unwrap_or(namespace);
    if own != namespace {
        return Err(bad_request(
            &"the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if name.is_some_and(|name| metadata["name"] != name) {
        return Err(bad_request(
            &"the name of the object does not match the name on the URL",
        ));
    }
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    Ok(object)
}

/// How objects are written in an answer.
#[derive(Clone)]
struct Shape {
    definition: Definition,
    version: String,
    partial: bool,
}

impl Shape {
    fn text(&self, object: &Object) -> String {
        if self.partial {
            object.partial()
        } else {
            object.text(&self.definition, &self.version)
        }
    }
}

fn selection(path: &Path, query: &Query) -> Result<Selection, Refusal> {
    Selection::new(
        path.namespace.clone(),
        query.get("labelSelector").unwrap_or_default(),
        query.get("fieldSelector").unwrap_or_default(),
    )
}

fn list(
    store: &mut super::Store,
    shape: &Shape,
    path: &Path,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let selection = selection(path, query)?;
    let limit = query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(0);
    let token = query.get("continue").filter(|token| !token.is_empty());
    let page = store.page(&shape.definition, &selection, limit, token)?;
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some((token, left)) = page.next {
        metadata["continue"] = json!(token);
        metadata["remainingItemCount"] = json!(left);
    }
    let (kind, api) = if shape.partial {
        ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
    } else {
        (
            shape.definition.kind,
            api_version(shape.definition.group, &shape.version),
        )
    };
    let items: Vec<String> = page
        .objects
        .iter()
        .map(|object| {
            if shape.partial {
                object.partial()
            } else {
                object.item(&shape.definition, &shape.version)
            }
        })
        .collect();
    let text = format!(
        "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{api}\",\"metadata\":{metadata},\"items\":[{}]}}\n",
        items.join(",")
    );
    Ok(json_answer(200, text))
}

/// One client's watch.
struct Watch {
    shared: Arc<Shared>,
    shape: Shape,
    selection: Selection,
    /// All up to this revision was told.
    seen: u64,
    bookmarks: bool,
    until: Instant,
    out: mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>,
}

fn begin_watch(
    shared: &Arc<Shared>,
    shape: Shape,
    path: &Path,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let selection = selection(path, query)?;
    let from = query.get("resourceVersion").unwrap_or_default();
    let initial = query.flag("sendInitialEvents");
    let seconds = query
        .get("timeoutSeconds")
        .and_then(|seconds| seconds.parse().ok());
    let (out, frames) = mpsc::channel(64);
    let mut first = Vec::new();
    let bookmarks = query.flag("allowWatchBookmarks");
    let store = shared.store();
    // "Get state and start at any/most recent" (API concepts, semantics for watch) begins with what there is.
    let seen = if initial || from.is_empty() || from == "0" {
        let objects = store.selected(&shape.definition, &selection);
        first.extend(objects.iter().map(|object| event("ADDED", &shape.text(object))));
        if initial && bookmarks {
            first.push(bookmark(&shape, store.revision(), true));
        }
        store.revision()
    } else {
        let revision: u64 = from.parse().map_err(|error| bad_request(&error))?;
        if store.is_gone(revision) {
            let refusal = gone(revision);
            if shared.manners().gone_by_status {
                return Err(refusal);
            }
            return Ok(json_answer(200, event("ERROR", &status(&refusal).to_string())));
        }
        revision
    };
    drop(store);
    let watch = Watch {
        shared: Arc::clone(shared),
        shape,
        selection,
        seen,
        bookmarks,
        until: Instant::now() + seconds.map_or(LONGEST_WATCH, Duration::from_secs),
        out,
    };
    tokio::spawn(watch.run(first));
    let frames = stream::unfold(frames, async |mut frames| {
        frames.recv().await.map(|frame| (frame, frames))
    });
    Ok(Response::builder()
        .status(200)
        .header("content-type", "application/json")
        .body(StreamBody::new(Box::pin(frames)).boxed_unsync())
        .expect("a response"))
}

fn gone(revision: u64) -> Refusal {
    Refusal(410, "Expired", format!("too old resource version: {revision}"))
}

fn event(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn bookmark(shape: &Shape, revision: u64, initial_end: bool) -> String {
    let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
    if initial_end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object = json!({"kind": shape.definition.kind, "metadata": metadata,
                        "apiVersion": api_version(shape.definition.group, &shape.version)});
    event("BOOKMARK", &object.to_string())
}

impl Watch {
    async fn run(mut self, first: Vec<String>) {
        self.shared.manners().watches += 1;
        let _ended = Ended(Arc::clone(&self.shared));
        let mut changed = self.shared.changed.subscribe();
        let (torn, ended, expired, every) = {
            let manners = self.shared.manners();
            (manners.torn, manners.ended, manners.expired, manners.bookmarks)
        };
        let mut every = every;
        let mut next_bookmark = Instant::now() + every.unwrap_or(LONGEST_WATCH);
        for text in first {
            if self.send(text).await.is_err() {
                return;
            }
        }
        loop {
            changed.mark_unchanged();
            let now = {
                let manners = self.shared.manners();
                if manners.bookmarks != every {
                    every = manners.bookmarks;
                    next_bookmark = Instant::now() + every.unwrap_or(LONGEST_WATCH);
                }
                (manners.torn, manners.ended, manners.expired)
            };
            if now.0 != torn {
                let _ = self
                    .out
                    .send(Ok(Frame::data(Bytes::from_static(b"{\"type\":\"MODI"))))
                    .await;
                let _ = self.out.send(Err(std::io::Error::other("torn"))).await;
                return;
            }
            if now.2 != expired {
                let _ = self
                    .send(event("ERROR", &status(&gone(self.seen)).to_string()))
                    .await;
                return;
            }
            if self.tell_changes().await.is_err() || now.1 != ended {
                return;
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = self.out.closed() => return,
                () = sleep_until(next_bookmark) => {
                    if self.bookmarks && self.send(bookmark(&self.shape, self.seen, false)).await.is_err() {
                        return;
                    }
                    next_bookmark = Instant::now() + every.unwrap_or(LONGEST_WATCH);
                }
                () = sleep_until(self.until) => {
                    if self.bookmarks {
                        let _ = self.send(bookmark(&self.shape, self.seen, false)).await;
                    }
                    return;
                }
            }
        }
    }

    async fn tell_changes(&mut self) -> Result<(), ()> {
        let (changes, revision) = {
            let store = self.shared.store();
            (store.changes(&self.shape.definition, self.seen), store.revision())
        };
        for change in &changes {
            if let Some(text) = self.told(change) {
                self.send(text).await?;
            }
        }
        self.seen = revision;
        Ok(())
    }

    /// A change as the selection sees it: what stops fitting is deleted, what begins to fit is added.
    fn told(&self, change: &Change) -> Option<String> {
        let takes = |object: &&Arc<Object>| self.selection.takes(object);
        let before = change.before.as_ref().filter(takes);
        let after = change.after.as_ref().filter(takes);
        Some(match (before, after) {
            (None, Some(after)) => event("ADDED", &self.shape.text(after)),
            (Some(_), Some(after)) => event("MODIFIED", &self.shape.text(after)),
            (Some(before), None) => event("DELETED", &self.shape.text(&before.at(change.revision))),
            (None, None) => return None,
        })
    }

    async fn send(&self, text: String) -> Result<(), ()> {
        let frame = Frame::data(Bytes::from(text));
        self.out.send(Ok(frame)).await.map_err(drop)
    }
}

/// Counts a watch off when it ends.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut manners = self.0.manners();
        manners.watches = manners.watches.saturating_sub(1);
    }
}
