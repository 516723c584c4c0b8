package kubernetes

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"weir/internal/discovery"
)

const (
	apiVersion   = "discovery.k8s.io/v1"
	serviceLabel = "kubernetes.io/service-name"
)

// The objects as they come, with what is of interest.
type (
	endpointSlice struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Metadata   struct {
			Namespace       string            `json:"namespace"`
			Name            string            `json:"name"`
			ResourceVersion string            `json:"resourceVersion"`
			Labels          map[string]string `json:"labels"`
		} `json:"metadata"`
		AddressType string         `json:"addressType"`
		Endpoints   []wireEndpoint `json:"endpoints"`
		Ports       []wirePort     `json:"ports"`
	}
	wireEndpoint struct {
		Addresses  []string   `json:"addresses"`
		Conditions conditions `json:"conditions"`
		Hostname   string     `json:"hostname"`
		NodeName   string     `json:"nodeName"`
		Zone       string     `json:"zone"`
		TargetRef  struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"targetRef"`
		Hints struct {
			ForZones []struct {
				Name string `json:"name"`
			} `json:"forZones"`
		} `json:"hints"`
	}
	conditions struct {
		Ready       *bool `json:"ready"`
		Serving     *bool `json:"serving"`
		Terminating *bool `json:"terminating"`
	}
	wirePort struct {
		Name     string `json:"name"`
		Protocol string `json:"protocol"`
		Port     *int32 `json:"port"`
	}
	status struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
		Reason  string `json:"reason"`
		Code    int    `json:"code"`
	}
)

// slice is what is kept of one: some of the endpoints of a service.
type slice struct {
	namespace, name string
	service         string // empty: it belongs to none
	version         string
	family          string
	endpoints       []endpoint
	left            string // what was left out of it, and why; empty if nothing was
}

// endpoint is one as a slice has it.
type endpoint struct {
	id, name, address string
	kind, hostname    string
	node, zone, hints string
	state             discovery.State
	ports             []port // those of the slice; not to be changed
}

type port struct {
	name   string
	number int32
}

// key tells a slice from all others of the cluster.
func (s *slice) key() string { return s.namespace + "/" + s.name }

// part names the service that it is a slice of.
func (s *slice) part() string { return s.namespace + "/" + s.service }

// parse takes from o what is of interest. An error says that it is no EndpointSlice of an API server.
func (o *endpointSlice) parse() (*slice, error) {
	m := &o.Metadata
	if !word(m.Namespace) || !word(m.Name) || m.ResourceVersion == "" {
		return nil, fmt.Errorf("an endpoint slice without a namespace, name or version (%s, %s, %s)", quote(m.Namespace), quote(m.Name), quote(m.ResourceVersion))
	}
	s := &slice{namespace: m.Namespace, name: m.Name, version: m.ResourceVersion, family: o.AddressType, service: m.Labels[serviceLabel]}
	switch {
	case !word(s.service):
		s.service, s.left = "", "all of it: it has no label "+serviceLabel+" that names a service"
		return s, nil
	case s.family != IPv4 && s.family != IPv6:
		s.left = "all of it: its addresses are of type " + quote(o.AddressType)
		return s, nil
	}
	ports, err := o.ports()
	if err != nil {
		s.left = "all of it: " + err.Error()
		return s, nil
	}
	s.parseEndpoints(o.Endpoints, ports)
	return s, nil
}

func (s *slice) parseEndpoints(from []wireEndpoint, ports []port) {
	s.endpoints = make([]endpoint, 0, len(from))
	seen := make(map[string]bool, len(from))
	left := 0
	for i := range from {
		e, err := from[i].parse(s.family)
		if err == nil && seen[e.id] {
			err = fmt.Errorf("%s is in it twice", e.id)
		}
		if err != nil {
			if left++; left == 1 {
				s.left = fmt.Sprintf("endpoint %d: %v", i+1, err)
			}
			continue
		}
		seen[e.id] = true
		e.ports = ports
		s.endpoints = append(s.endpoints, e)
	}
	if left > 1 {
		s.left += fmt.Sprintf(", and %d others", left-1)
	}
}

// ports are the ones of TCP that have a number.
func (o *endpointSlice) ports() ([]port, error) {
	var ports []port
	for _, p := range o.Ports {
		if p.Protocol != "" && p.Protocol != "TCP" || p.Port == nil {
			continue
		}
		if *p.Port < 1 || *p.Port > 65535 {
			return nil, fmt.Errorf("port %d cannot be", *p.Port)
		}
		if p.Name != "" && !word(p.Name) {
			return nil, fmt.Errorf("port name %s cannot be", quote(p.Name))
		}
		ports = addPort(ports, port{p.Name, *p.Port})
	}
	return ports, nil
}

// addPort keeps ports sorted by name, the first one of each.
func addPort(ports []port, p port) []port {
	i := 0
	for i < len(ports) && ports[i].name < p.name {
		i++
	}
	if i < len(ports) && ports[i].name == p.name {
		return ports
	}
	return append(ports[:i:i], append([]port{p}, ports[i:]...)...)
}

// parse takes an endpoint whose addresses are of a family.
func (w *wireEndpoint) parse(family string) (endpoint, error) {
	if len(w.Addresses) == 0 {
		return endpoint{}, errors.New("it has no address")
	}
	a, err := netip.ParseAddr(w.Addresses[0])
	if err != nil || a.Zone() != "" || a.Is4() != (family == IPv4) || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
		return endpoint{}, fmt.Errorf("%s is no %s address of a server", quote(w.Addresses[0]), family)
	}
	for _, name := range []string{w.TargetRef.Kind, w.TargetRef.Name, w.Hostname, w.NodeName, w.Zone} {
		if name != "" && !word(name) {
			return endpoint{}, fmt.Errorf("%s is no name of Kubernetes'", quote(name))
		}
	}
	e := endpoint{
		address: a.String(), kind: w.TargetRef.Kind, hostname: w.Hostname, node: w.NodeName, zone: w.Zone,
		state: w.Conditions.state(),
	}
	switch e.name = w.TargetRef.Name; {
	case e.name == "":
		if e.id, e.name = e.address, w.Hostname; e.name == "" {
			e.name = e.address
		}
	case e.kind == "Pod" || e.kind == "":
		e.id = e.name
	default:
		e.id = e.kind + ":" + e.name
	}
	e.hints, err = w.hints()
	return e, err
}

func (w *wireEndpoint) hints() (string, error) {
	zones := make([]string, 0, len(w.Hints.ForZones))
	for _, z := range w.Hints.ForZones {
		if !word(z.Name) {
			return "", fmt.Errorf("%s is no name of a zone", quote(z.Name))
		}
		zones = append(zones, z.Name)
	}
	return strings.Join(zones, ","), nil
}

// state is what the conditions mean by Kubernetes' documentation: one that is ready takes traffic, also while it ends if
// its service says so (publishNotReadyAddresses); one that ends and serves finishes what it has; unknown is ready,
// serving as ready says, and not ending.
func (c conditions) state() discovery.State {
	serving := orElse(c.Serving, orElse(c.Ready, true))
	switch {
	case orElse(c.Terminating, false) && c.Ready != nil && *c.Ready:
		return discovery.Ready
	case orElse(c.Terminating, false) && serving:
		return discovery.Draining
	case orElse(c.Terminating, false):
		return discovery.NotReady
	case orElse(c.Ready, serving):
		return discovery.Ready
	}
	return discovery.NotReady
}

func orElse(b *bool, unknown bool) bool {
	if b == nil {
		return unknown
	}
	return *b
}

// word says whether s can be a name in Kubernetes: it holds nothing that would mean something elsewhere.
func word(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (c != '-' && c != '.' && c != '_' || i == 0) {
			return false
		}
	}
	return true
}
