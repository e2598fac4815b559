//! `docs/many-nodes.md`, `docs/docker-compose.yml` and `docs/kubernetes.yaml`: they are valid, and agree with each other.

use serde_json::{Value, json};

use crate::page::{documents, read};

#[test]
fn kubernetes_manifests_of_many_nodes_have_three_replicas_and_a_disruption_budget() {
    let [deployment, budget, service] =
        documents(&read("docs/kubernetes.yaml")).try_into().unwrap();
    let kinds = [&deployment["kind"], &budget["kind"], &service["kind"]];
    assert_eq!(kinds, ["Deployment", "PodDisruptionBudget", "Service"]);
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(budget["spec"]["minAvailable"], 2);
    let template = &deployment["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    for selected in [
        &deployment["spec"]["selector"]["matchLabels"],
        &template["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &budget["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
    ] {
        assert_eq!(selected, labels);
    }
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    let container = &template["spec"]["containers"][0];
    let ports = container["ports"].as_array().unwrap().iter();
    let ports: Vec<_> = ports.map(|port| (&port["name"], &port["containerPort"])).collect();
    assert_eq!(ports, [(&json!("http"), &json!(3000)), (&json!("probes"), &json!(3001))]);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "probes");
        assert_served(container[probe]["httpGet"]["path"].as_str().unwrap());
    }
    let variable = &container["env"][0];
    assert!(reads_variable(variable["name"].as_str().unwrap()));
    assert!(variable["valueFrom"]["secretKeyRef"].is_object(), "the URL contains a password");
    let grace = template["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    let before_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    // The shutdown of the program takes less than 25 s.
    assert!(grace >= before_stop + 25, "{grace}");
}

#[test]
fn compose_file_has_three_receivers_that_wait_for_the_database() {
    let file: Value = serde_yaml_ng::from_str(&read("docs/docker-compose.yml")).unwrap();
    let services = file["services"].as_object().unwrap();
    assert!(services.keys().eq(["balancer", "postgres", "receiver"]), "{services:?}");
    let receiver = &services["receiver"];
    assert_eq!(receiver["deploy"]["replicas"], 3);
    assert_eq!(receiver["depends_on"]["postgres"]["condition"], "service_healthy");
    let (name, url) = receiver["environment"].as_object().unwrap().iter().next().unwrap();
    assert!(reads_variable(name));
    assert!(url.as_str().unwrap().ends_with("@postgres/inbox"), "{url}");
    for (service, published) in [("postgres", false), ("receiver", false), ("balancer", true)] {
        assert_eq!(services[service]["ports"].is_array(), published, "{service}");
    }
    let haproxy = file["configs"]["haproxy"]["content"].as_str().unwrap();
    assert!(haproxy.contains("server-template receiver 3 receiver:3000 check port 3001 "));
    let check = haproxy.lines().find_map(|line| line.trim().strip_prefix("option httpchk GET "));
    assert_served(check.unwrap());
    let volume = services["postgres"]["volumes"][0].as_str().unwrap();
    assert!(file["volumes"].get(volume.split(':').next().unwrap()).is_some(), "{volume}");
}

/// The program of the page serves this path.
fn assert_served(path: &str) {
    assert!(read("docs/many-nodes.md").contains(&format!("route_service(\"{path}\"")), "{path}");
}

/// The program of the page reads this variable.
fn reads_variable(name: &str) -> bool {
    read("docs/many-nodes.md").contains(&format!("var(\"{name}\")"))
}
