// Package compile works out what each load balancer must do from what people declared. It is a function of the
// set of objects alone: the same set gives the same nodes, in the same order, whatever was compiled before.
//
// What can't be compiled is left out as narrowly as possible and told as a problem; everything else ships.
package compile

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// Group gives what the load balancers of a group have in common, a node whose Self is empty, and what had to be
// left out of it, by object and path. The set must have passed weir.Check; what breaks its rules is left out.
func Group(set *weir.Set, group string) (ir.Node, []weir.Problem) {
	return New().Group(set, group)
}

// Self gives what is a load balancer's own, and false when the set holds no load balancer of the name.
func Self(set *weir.Set, loadBalancer string) (ir.Self, bool) {
	spec := weir.Find[weir.LoadBalancer](set, "LoadBalancer", loadBalancer)
	if spec == nil {
		return ir.Self{}, false
	}
	self := ir.Self{Name: loadBalancer, Zone: spec.Zone, State: spec.State, Namespace: spec.Namespace}
	if len(spec.LocalPorts) > 0 {
		self.LocalPorts = maps.Clone(spec.LocalPorts)
	}
	self.Sources = weir.Sources(spec.SourceAddresses)
	slices.SortFunc(self.Sources, netip.Addr.Compare)
	for from, to := range spec.LocalRanges {
		self.LocalRanges = append(self.LocalRanges, ir.Translation{From: from, To: to})
	}
	slices.SortFunc(self.LocalRanges, func(a, b ir.Translation) int { return comparePrefixes(a.From, b.From) })
	return self, true
}

// Node gives everything that one load balancer must do, and what had to be left out. The error, of kind
// weir.NotFound, says that the set holds no load balancer of the name.
func Node(set *weir.Set, loadBalancer string) (ir.Node, []weir.Problem, error) {
	return New().Node(set, loadBalancer)
}

// Node is Group with the load balancer's own part; see the function Node.
func (c *Compiler) Node(set *weir.Set, loadBalancer string) (ir.Node, []weir.Problem, error) {
	self, ok := Self(set, loadBalancer)
	if !ok {
		return ir.Node{}, nil, weir.Errorf(weir.NotFound, "compile LoadBalancer/%s: there is no such load balancer", loadBalancer)
	}
	node, problems := c.Group(set, weir.Find[weir.LoadBalancer](set, "LoadBalancer", loadBalancer).Group)
	node.Self = self
	return node, problems, nil
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// sortedNetworks gives a sorted copy without doubles, nil for none.
func sortedNetworks(list []netip.Prefix) []netip.Prefix {
	if len(list) == 0 {
		return nil
	}
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, comparePrefixes)
	return slices.Compact(sorted)
}

// problems collects what was left out.
type problems []weir.Problem

func (p *problems) add(object weir.Ref, path, format string, args ...any) {
	*p = append(*p, weir.Problem{Object: object.String(), Path: path, Message: fmt.Sprintf(format, args...)})
}

// sorted gives the problems by object, path and message, each once.
func (p problems) sorted() []weir.Problem {
	slices.SortFunc(p, func(a, b weir.Problem) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(p)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
