//! Where the operator looks: in all namespaces, or in those that it was given.

use kube::{Api, Client, Resource};

/// One watch: everything, or one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All namespaces.
    All,
    /// This one.
    Namespace(String),
}

impl Scope {
    /// The scopes of a setting that lists namespaces: an empty list stands for all.
    pub(crate) fn of(namespaces: &[String]) -> Vec<Self> {
        let named: Vec<Self> =
            namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Self::Namespace).collect();
        if named.is_empty() { vec![Self::All] } else { named }
    }

    /// Whether a namespace is in here.
    pub(crate) fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(own) => own == namespace,
        }
    }

    /// The resources of a kind in here.
    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        match self {
            Self::All => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_stands_for_all() {
        let of = |names: &[&str]| Scope::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]), [Scope::All]);
        assert_eq!(of(&[""]), [Scope::All], "an empty variable is a list of one empty name");
        assert_eq!(of(&["a", "b"]), [Scope::Namespace("a".to_owned()), Scope::Namespace("b".to_owned())]);
    }
}
