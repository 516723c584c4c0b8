package discovery

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// Wanted is a server as a source wants it. What many share (Clusters, Ports, Labels) is there once and never changed.
type Wanted struct {
	Name     string
	Address  netip.Addr
	Zone     string
	Clusters []string
	Ports    map[string]weir.Port
	Labels   map[string]string
	Weight   int
}

// Mapping makes servers of what is found. It is for one goroutine at a time.
type Mapping struct {
	name, address, zone, weight weir.Template
	clusters                    []weir.Template
	ports, labels               []named

	// What came out before, so that 100,000 that are alike are not kept 100,000 times.
	zones   map[string]string
	lists   map[string][]string
	portsOf map[string]map[string]weir.Port
	labeled map[string]map[string]string
}

type named struct {
	name string
	weir.Template
}

// NewMapping makes the one that a template says.
func NewMapping(t *weir.ServerTemplate) (*Mapping, error) {
	m := &Mapping{}
	m.forget()
	var err error
	parse := func(field, text string) weir.Template {
		parsed, perr := weir.ParseTemplate(text)
		if perr != nil && err == nil {
			err = fmt.Errorf("server.%s: %w", field, perr)
		}
		return parsed
	}
	m.name, m.address, m.zone = parse("name", t.Name), parse("address", t.Address), parse("zone", t.Zone)
	m.weight = parse("weight", t.Weight)
	for _, text := range t.Clusters {
		m.clusters = append(m.clusters, parse("clusters", text))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Ports)) {
		m.ports = append(m.ports, named{name, parse("ports", t.Ports[name])})
	}
	for _, key := range slices.Sorted(maps.Keys(t.Labels)) {
		m.labels = append(m.labels, named{key, parse("labels", t.Labels[key])})
	}
	return m, err
}

// mostAlike is how many different ones are kept to be shared; with more of them there is little to share.
const mostAlike = 10_000

func (m *Mapping) forget() {
	m.zones, m.lists = map[string]string{}, map[string][]string{}
	m.portsOf, m.labeled = map[string]map[string]weir.Port{}, map[string]map[string]string{}
}

// Map makes a server of an instance, or says why there can be none, for people.
func (m *Mapping) Map(f Found) (Wanted, error) {
	if len(m.lists)+len(m.portsOf)+len(m.labeled)+len(m.zones) > mostAlike {
		m.forget()
	}
	var w Wanted
	text, err := m.name.Fill(f.Fields)
	if err != nil {
		return w, fmt.Errorf("its name: %w", err)
	}
	if w.Name = weir.NameOf(text); w.Name == "" {
		return w, fmt.Errorf("its name: %q has no letter or digit that a name can have", Clip(text))
	}
	if text, err = m.address.Fill(f.Fields); err != nil {
		return w, fmt.Errorf("its address: %w", err)
	}
	if w.Address, err = origin(text); err != nil {
		return w, err
	}
	if text, err = m.zone.Fill(f.Fields); err != nil {
		return w, fmt.Errorf("its zone: %w", err)
	}
	if w.Zone = share(m.zones, text, weir.NameOf); w.Zone == "" {
		return w, fmt.Errorf("its zone: %q has no letter or digit that a name can have", Clip(text))
	}
	for _, fill := range []func(Found, *Wanted) error{m.fillWeight, m.fillClusters, m.fillPorts, m.fillLabels} {
		if err := fill(f, &w); err != nil {
			return w, err
		}
	}
	return w, nil
}

// share gives what made makes of a text, the same for the same text.
func share[T any](known map[string]T, text string, made func(string) T) T {
	v, ok := known[text]
	if !ok {
		// Not the driver's own text, which may be a piece of a long answer.
		text = strings.Clone(text)
		v = made(text)
		known[text] = v
	}
	return v
}

// origin reads an address that a server can have.
func origin(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("its address: %q is no address that a server can have; names are resolved by a source of dns", Clip(text))
	}
	return a.Unmap(), nil
}

const (
	usualWeight = 100
	mostWeight  = 256
)

// fillWeight takes a weight that is more than there can be for the most.
func (m *Mapping) fillWeight(f Found, w *Wanted) error {
	text, err := m.weight.Fill(f.Fields)
	if err != nil {
		return fmt.Errorf("its weight: %w", err)
	}
	if text == "" {
		w.Weight = usualWeight
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return fmt.Errorf("its weight: %q is no number from 0 to %d", Clip(text), mostWeight)
	}
	w.Weight = min(int(n), mostWeight)
	return nil
}

func (m *Mapping) fillClusters(f Found, w *Wanted) error {
	var list []string
	for i := range m.clusters {
		text, err := m.clusters[i].Fill(f.Fields)
		if err != nil {
			return fmt.Errorf("its clusters: %w", err)
		}
		// A field may be a list, as Consul's tags.
		for part := range strings.SplitSeq(text, ",") {
			if name := weir.NameOf(part); name != "" && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	if len(list) > 0 {
		w.Clusters = share(m.lists, strings.Join(list, ","), func(string) []string { return list })
	}
	return nil
}

func (m *Mapping) fillPorts(f Found, w *Wanted) error {
	texts, err := filled(m.ports, f.Fields)
	if err != nil {
		return fmt.Errorf("its port %w", err)
	}
	key := strings.Join(texts, ",")
	if known, ok := m.portsOf[key]; ok {
		w.Ports = known
		return nil
	}
	var ports map[string]weir.Port
	for i, text := range texts {
		if text == "" {
			continue
		}
		var port weir.Port
		if err := port.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("its port %s: %w", m.ports[i].name, err)
		}
		if ports == nil {
			ports = make(map[string]weir.Port, len(texts))
		}
		ports[m.ports[i].name] = port
	}
	m.portsOf[key] = ports
	w.Ports = ports
	return nil
}

// fillLabels leaves out those that can't be labels' values: nobody loses traffic for a label.
func (m *Mapping) fillLabels(f Found, w *Wanted) error {
	texts, err := filled(m.labels, f.Fields)
	if err != nil {
		return fmt.Errorf("its label %w", err)
	}
	for i, text := range texts {
		if len(text) > 255 || weir.CheckText(text) != nil {
			texts[i] = ""
		}
	}
	// No text that is left holds what stands between them.
	w.Labels = share(m.labeled, strings.Join(texts, "\x00"), func(key string) map[string]string {
		var labels map[string]string
		for i, text := range strings.Split(key, "\x00") {
			if text == "" {
				continue
			}
			if labels == nil {
				labels = make(map[string]string, len(texts))
			}
			labels[m.labels[i].name] = text
		}
		return labels
	})
	return nil
}

func filled(list []named, fields map[string]string) ([]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	texts := make([]string, len(list))
	for i := range list {
		text, err := list[i].Fill(fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list[i].name, err)
		}
		texts[i] = text
	}
	return texts, nil
}

// Is says whether an object says of a server what is wanted, its registration aside.
func (w *Wanted) Is(role string, o *weir.Object) bool {
	spec, ok := o.Spec.(*weir.Server)
	return ok && o.Metadata.Role == role && len(o.Metadata.ShareWith) == 0 && maps.Equal(o.Metadata.Labels, w.Labels) &&
		spec.Address == w.Address && spec.Zone == w.Zone && slices.Equal(spec.Clusters, w.Clusters) &&
		maps.Equal(spec.Ports, w.Ports) && *spec.Weight == w.Weight
}

// Object makes the server's, without a registration.
func (w *Wanted) Object(role, managedBy string) *weir.Object {
	return &weir.Object{
		Kind:     "Server",
		Metadata: weir.Metadata{Name: w.Name, Role: role, Labels: w.Labels, ManagedBy: managedBy},
		Spec:     &weir.Server{Address: w.Address, Zone: w.Zone, Clusters: w.Clusters, Ports: w.Ports, Weight: new(w.Weight)},
	}
}
