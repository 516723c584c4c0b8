package acme

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxNames is how many names a certificate may have: as many as Let's Encrypt allows, and others no fewer than that.
const maxNames = 100

// cleanNames gives the names in lower case, each once, in their order, or says which will not do.
func cleanNames(given []string, challenge ChallengeType) ([]string, error) {
	if challenge != HTTP01 && challenge != DNS01 {
		return nil, local(StepOrder, TypeBadInput, fmt.Sprintf("the challenge must be %s or %s", HTTP01, DNS01))
	}
	var names []string
	for _, g := range given {
		name := strings.ToLower(g)
		if why := badName(name); why != "" {
			return nil, local(StepOrder, TypeBadInput, why, clean(g))
		}
		if strings.HasPrefix(name, "*.") && challenge != DNS01 {
			return nil, local(StepOrder, TypeBadInput, "a wildcard name can be proven by dns-01 only", name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return nil, local(StepOrder, TypeBadInput, "a certificate needs a name")
	case len(names) > maxNames:
		return nil, local(StepOrder, TypeBadInput, fmt.Sprintf("a certificate has at most %d names, not %d", maxNames, len(names)))
	}
	return names, nil
}

// badName says why a name can't be ordered, empty when it can.
func badName(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return "addresses are not ordered, only names"
	}
	bare := strings.TrimPrefix(name, "*.")
	labels := strings.Split(bare, ".")
	if len(bare) > 253 || len(labels) < 2 {
		return "this is no full host name"
	}
	for _, l := range labels {
		if !isLabel(l) {
			return "this is no host name in ASCII letters, digits and hyphens"
		}
	}
	return ""
}

func isLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	return strings.IndexFunc(l, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	}) < 0
}
