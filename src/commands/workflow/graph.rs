//! Node graphs as ComfyUI saves them, read into nodes and links. Pure: text in, graph out.
//!
//! Two forms: that of the editor (`nodes` with `type` and `widgets_values`, `links` between them) and that of the API (an object of
//! `{class_type, inputs}`, in which a link is `["ID", slot]`). Whatever a node means is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What is wrong with a file that should be a node graph; one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GraphError {
    #[error("it is not JSON: {0}")]
    NotJson(String),
    #[error("it has neither `nodes` nor nodes with a `class_type`, so it is no workflow")]
    NotWorkflow,
    #[error("it has no nodes")]
    NoNodes,
    #[error("{place} has {what}")]
    Malformed { place: String, what: &'static str },
    #[error("two nodes have the id {0}")]
    Twice(String),
    #[error("{link} names node {node}, which is not there")]
    Dangling { link: String, node: String },
    #[error("nodes {} feed one another in a circle", .0.join(", "))]
    Circle(Vec<String>),
}

/// Whether a node does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Works,
    /// Nothing comes out of it.
    Muted,
    /// What goes in comes out.
    Bypassed,
}

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) mode: Mode,
    /// Settings that have a name, links left out.
    pub(super) named: BTreeMap<String, Value>,
    /// Settings that have only an order.
    pub(super) listed: Vec<Value>,
}

/// Nodes in the order of the file, and which feeds which.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// From, to; places in `nodes`.
    pub(super) links: Vec<(usize, usize)>,
}

impl Graph {
    /// Reads a workflow of either form.
    pub(super) fn read(text: &[u8]) -> Result<Self, GraphError> {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let value: Value = serde_json::from_slice(text).map_err(|error| GraphError::NotJson(error.to_string()))?;
        let Value::Object(mut top) = value else { return Err(GraphError::NotWorkflow) };
        let graph = match top.remove("nodes") {
            Some(Value::Array(nodes)) => of_editor(&nodes, top.get("links").unwrap_or(&Value::Null))?,
            Some(_) => return Err(GraphError::Malformed { place: "`nodes`".to_owned(), what: "something else than a list" }),
            // What is sent to the API has the nodes one level down.
            None => match top.get("prompt") {
                Some(Value::Object(prompt)) => of_api(prompt)?,
                _ => of_api(&top)?,
            },
        };
        if graph.nodes.is_empty() {
            return Err(GraphError::NoNodes);
        }
        graph.refuse_circles()?;
        Ok(graph)
    }

    /// Everything that something passes through on its way to one of `ends`, the ends included.
    pub(super) fn ancestors(&self, ends: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        self.reach(ends, |&(from, to)| (to, from))
    }

    /// Everything that something from one of `starts` passes through, the starts included.
    pub(super) fn descendants(&self, starts: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        self.reach(starts, |&(from, to)| (from, to))
    }

    fn reach(&self, from: impl IntoIterator<Item = usize>, way: impl Fn(&(usize, usize)) -> (usize, usize)) -> BTreeSet<usize> {
        let mut next = vec![Vec::new(); self.nodes.len()];
        for (here, there) in self.links.iter().map(way) {
            next[here].push(there);
        }
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(node) = open.pop() {
            if found.insert(node) {
                open.extend(&next[node]);
            }
        }
        found
    }

    /// Takes away nodes that nothing feeds until none is left; what cannot be taken away feeds itself.
    fn refuse_circles(&self) -> Result<(), GraphError> {
        let mut feeders = vec![0_usize; self.nodes.len()];
        let mut next = vec![Vec::new(); self.nodes.len()];
        for &(from, to) in &self.links {
            feeders[to] += 1;
            next[from].push(to);
        }
        let mut open: Vec<usize> = (0..self.nodes.len()).filter(|&node| feeders[node] == 0).collect();
        while let Some(node) = open.pop() {
            for &to in &next[node] {
                feeders[to] -= 1;
                if feeders[to] == 0 {
                    open.push(to);
                }
            }
        }
        let left = (0..self.nodes.len()).filter(|&node| feeders[node] > 0);
        // Enough to find the place in the editor.
        let left: Vec<_> = left.take(8).map(|node| self.nodes[node].id.clone()).collect();
        if left.is_empty() { Ok(()) } else { Err(GraphError::Circle(left)) }
    }
}

fn of_editor(nodes: &[Value], links: &Value) -> Result<Graph, GraphError> {
    let mut read = Vec::with_capacity(nodes.len());
    for (number, node) in nodes.iter().enumerate() {
        let malformed = |what| GraphError::Malformed { place: format!("entry {} of `nodes`", number + 1), what };
        let id = node.get("id").and_then(id_of).ok_or_else(|| malformed("no `id`"))?;
        let kind = node.get("type").and_then(Value::as_str).ok_or_else(|| malformed("no `type`"))?.to_owned();
        // LiteGraph's numbers: 2 never, 4 bypass.
        let mode = match node.get("mode").and_then(Value::as_u64) {
            Some(2) => Mode::Muted,
            Some(4) => Mode::Bypassed,
            _ => Mode::Works,
        };
        let (named, listed) = match node.get("widgets_values") {
            Some(Value::Array(values)) => (BTreeMap::new(), values.clone()),
            Some(Value::Object(values)) => (values.clone().into_iter().collect(), Vec::new()),
            Some(Value::Null) | None => (BTreeMap::new(), Vec::new()),
            Some(_) => return Err(malformed("`widgets_values` that are neither a list nor an object")),
        };
        read.push(Node { id, kind, mode, named, listed });
    }
    let places = places(&read)?;
    let links = match links {
        Value::Array(links) => links.as_slice(),
        Value::Null => &[],
        _ => return Err(GraphError::Malformed { place: "`links`".to_owned(), what: "something else than a list" }),
    };
    let mut pairs = Vec::with_capacity(links.len());
    for (number, link) in links.iter().enumerate() {
        let name = format!("entry {} of `links`", number + 1);
        // A list [link, from, slot, to, slot, type], or, in newer files, an object.
        let end = |index: usize, key: &str| link.get(index).or_else(|| link.get(key)).and_then(id_of);
        let (Some(from), Some(to)) = (end(1, "origin_id"), end(3, "target_id")) else {
            return Err(GraphError::Malformed { place: name, what: "no two ends" });
        };
        let place = |node: String| places.get(&node).copied().ok_or(GraphError::Dangling { link: name.clone(), node });
        pairs.push((place(from)?, place(to)?));
    }
    Ok(Graph { nodes: read, links: pairs })
}

fn of_api(top: &Map<String, Value>) -> Result<Graph, GraphError> {
    if !top.is_empty() && !top.values().any(|node| node.get("class_type").is_some()) {
        return Err(GraphError::NotWorkflow);
    }
    let mut read = Vec::with_capacity(top.len());
    let mut wanted = Vec::new();
    for (id, node) in top {
        let malformed = |what| GraphError::Malformed { place: format!("node {id}"), what };
        let kind = node.get("class_type").and_then(Value::as_str).ok_or_else(|| malformed("no `class_type`"))?.to_owned();
        let mut named = BTreeMap::new();
        match node.get("inputs") {
            Some(Value::Object(inputs)) => {
                for (name, value) in inputs {
                    match value.as_array().map(Vec::as_slice) {
                        Some([from, Value::Number(_)]) if id_of(from).is_some() => {
                            let link = format!("input {name} of node {id}");
                            wanted.push((link, id_of(from).unwrap_or_default(), read.len()));
                        }
                        _ => drop(named.insert(name.clone(), value.clone())),
                    }
                }
            }
            Some(Value::Null) | None => {}
            Some(_) => return Err(malformed("`inputs` that are no object")),
        }
        read.push(Node { id: id.clone(), kind, mode: Mode::Works, named, listed: Vec::new() });
    }
    let places = places(&read)?;
    let mut links = Vec::with_capacity(wanted.len());
    for (link, node, to) in wanted {
        links.push((places.get(&node).copied().ok_or(GraphError::Dangling { link, node })?, to));
    }
    Ok(Graph { nodes: read, links })
}

fn places(nodes: &[Node]) -> Result<BTreeMap<String, usize>, GraphError> {
    let mut places = BTreeMap::new();
    for (place, node) in nodes.iter().enumerate() {
        if places.insert(node.id.clone(), place).is_some() {
            return Err(GraphError::Twice(node.id.clone()));
        }
    }
    Ok(places)
}

/// Ids are numbers in older files, texts in newer ones.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        Graph::read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_are_read_into_the_same_graph() {
        let editor = r#"{"nodes": [{"id": 1, "type": "LoadImage", "widgets_values": ["a.png", "image"]},
            {"id": 2, "type": "SaveImage", "mode": 4}], "links": [[9, 1, 0, 2, 0, "IMAGE"]], "version": 0.4}"#;
        let newer = editor.replace("[9, 1, 0, 2, 0, \"IMAGE\"]", r#"{"id": 9, "origin_id": 1, "target_id": 2}"#);
        let api = r#"{"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}"#;
        for text in [editor, &newer, api, &format!("{{\"prompt\": {api}}}"), &format!("\u{feff}{api}")] {
            let graph = Graph::read(text.as_bytes()).unwrap();
            assert_eq!(graph.nodes.iter().map(|node| node.kind.as_str()).collect::<Vec<_>>(), ["LoadImage", "SaveImage"]);
            assert_eq!(graph.links, [(0, 1)], "{text}");
        }
        assert_eq!(Graph::read(editor.as_bytes()).unwrap().nodes[1].mode, Mode::Bypassed);
    }

    #[test]
    fn what_is_no_workflow_is_told_in_one_line() {
        for (text, wanted) in [
            ("", "it is not JSON: EOF"),
            ("{\"nodes\": [}", "it is not JSON: expected value at line 1 column 12"),
            ("[1, 2]", "it has neither `nodes` nor"),
            ("{\"a\": 1}", "it has neither `nodes` nor"),
            ("{}", "it has no nodes"),
            ("{\"nodes\": []}", "it has no nodes"),
            ("{\"nodes\": {}}", "`nodes` has something else than a list"),
            ("{\"nodes\": [{\"type\": \"X\"}]}", "entry 1 of `nodes` has no `id`"),
            ("{\"nodes\": [{\"id\": 1}]}", "entry 1 of `nodes` has no `type`"),
            ("{\"nodes\": [{\"id\": 1, \"type\": \"X\"}, {\"id\": 1, \"type\": \"Y\"}]}", "two nodes have the id 1"),
            (
                "{\"nodes\": [{\"id\": 1, \"type\": \"X\"}], \"links\": [[1, 1, 0, 7, 0]]}",
                "entry 1 of `links` names node 7, which",
            ),
            ("{\"nodes\": [{\"id\": 1, \"type\": \"X\"}], \"links\": [[1]]}", "entry 1 of `links` has no two ends"),
            (
                "{\"1\": {\"class_type\": \"X\", \"inputs\": {\"image\": [\"3\", 0]}}}",
                "input image of node 1 names node 3, which",
            ),
            ("{\"1\": {\"class_type\": \"X\"}, \"2\": 5}", "node 2 has no `class_type`"),
        ] {
            let told = told(text);
            assert!(told.starts_with(wanted) && !told.contains('\n'), "{text}: {told}");
        }
        assert!(told(&"[".repeat(100_000)).contains("recursion limit"));
    }

    #[test]
    fn nodes_that_feed_one_another_are_named() {
        let text = r#"{"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}, "2": {"class_type": "B", "inputs": {"x": ["1", 0]}},
            "3": {"class_type": "C", "inputs": {}}}"#;
        assert_eq!(told(text), "nodes 1, 2 feed one another in a circle");
    }
}
