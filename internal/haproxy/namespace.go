package haproxy

import "weir/internal/ir"

// namespaceWord is what names the network namespace on a bind line (configuration.txt 5.1). HAProxy looks for it when it
// reads its configuration, and refuses all of it when it is not there.
const namespaceWord = "namespace"

// namespace is the option of the bind lines of sites that names their network namespace. Sockets that lead back have
// none: HAProxy connects to them from its own, and abstract sockets are each namespace's own.
func (r *renderer) namespace() string {
	if r.node.Self.Namespace == "" {
		return ""
	}
	return " " + namespaceWord + " " + r.node.Self.Namespace
}

// lacksNamespace says that no site can be listened for.
func lacksNamespace(self ir.Self, env Env) bool {
	return self.Namespace != "" && self.Namespace == env.NoNamespace
}

// NamespaceOf gives the network namespace that a bind line of Weir's names, at its end, "" for HAProxy's own; words are
// those of the line.
func NamespaceOf(words []string) string {
	if n := len(words); n > 3 && words[n-2] == namespaceWord {
		return words[n-1]
	}
	return ""
}
