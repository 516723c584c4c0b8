package consul

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"weir/internal/discovery"
)

// answer is what one question brought: found of a service, names of the catalogue.
type answer struct {
	index uint64
	sum   [sha256.Size]byte // of what it says, without the index
	found []discovery.Found
	names []string
}

func sumOf(names []string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(names, "\n")))
}

// entry is an instance of a service as /v1/health/service gives it; what is not used is left out.
type entry struct {
	Node struct {
		Node, Address, Datacenter, Partition string
		Meta                                 map[string]string
	}
	Service struct {
		ID, Service, Address, Namespace string
		Port                            int
		Tags                            []string
		Meta                            map[string]string
		TaggedAddresses                 map[string]struct{ Address string }
		Weights                         *struct{ Passing, Warning int }
	}
	Checks []struct{ CheckID, Status string }
}

// readHealth reads the instances of a service, all or none.
func readHealth(body []byte, onlyPassing bool) ([]discovery.Found, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("it is no list of instances: is this Consul's HTTP API?")
	}
	var found []discovery.Found
	for d.More() {
		if len(found) == discovery.MaxFound {
			return nil, fmt.Errorf("more than %d instances are %w", discovery.MaxFound, discovery.ErrTooMuch)
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("entry %d is not understood: %w", len(found)+1, err)
		}
		f, err := e.found(onlyPassing)
		if err != nil {
			return nil, fmt.Errorf("entry %d, service ID %q of node %q: %w", len(found)+1, e.Service.ID, e.Node.Node, err)
		}
		found = append(found, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("the list ends early: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something comes after the list")
	}
	return found, discovery.Arrange(found)
}

func (e *entry) found(onlyPassing bool) (discovery.Found, error) {
	health, err := e.health()
	switch {
	case err != nil:
		return discovery.Found{}, err
	case e.Node.Node == "":
		return discovery.Found{}, errors.New("it has no node")
	case e.Service.ID == "":
		return discovery.Found{}, errors.New("it has no ID")
	case e.Service.Port < 0 || e.Service.Port > 65535:
		return discovery.Found{}, fmt.Errorf("port %d is none", e.Service.Port)
	}
	state := discovery.Ready
	if health > warning || health == warning && onlyPassing {
		state = discovery.NotReady
	}
	return discovery.Found{ID: e.Node.Node + "/" + e.Service.ID, Fields: e.fields(health), State: state}, nil
}

func (e *entry) fields(health health) map[string]string {
	address := e.Service.Address
	if address == "" {
		address = e.Node.Address
	}
	fields := map[string]string{"health": health.String()}
	for name, value := range map[string]string{
		"service": e.Service.Service, "id": e.Service.ID, "address": address,
		"node": e.Node.Node, "nodeAddress": e.Node.Address,
		"datacenter": e.Node.Datacenter, "namespace": e.Service.Namespace, "partition": e.Node.Partition,
		"tags": strings.Join(e.Service.Tags, ","),
	} {
		if value != "" {
			fields[name] = value
		}
	}
	if e.Service.Port != 0 {
		fields["port"] = strconv.Itoa(e.Service.Port)
	}
	if w := e.Service.Weights; w != nil {
		fields["weight"] = strconv.Itoa(w.Passing)
		if health == warning {
			fields["weight"] = strconv.Itoa(w.Warning)
		}
	}
	for name, value := range e.Service.Meta {
		fields["meta."+name] = value
	}
	for name, value := range e.Node.Meta {
		fields["nodeMeta."+name] = value
	}
	for name, tagged := range e.Service.TaggedAddresses {
		fields["tagged."+name] = tagged.Address
	}
	return fields
}

// health is what Consul thinks of an instance, from good to bad.
type health uint8

const (
	passing health = iota
	warning
	critical
	maintenance
)

func (h health) String() string {
	return [...]string{"passing", "warning", "critical", "maintenance"}[h]
}

// health is the worst that the checks say, as Consul itself puts them together. No checks are good ones.
func (e *entry) health() (health, error) {
	worst := passing
	for _, c := range e.Checks {
		h, ok := map[string]health{"passing": passing, "warning": warning, "critical": critical}[c.Status]
		if !ok {
			return 0, fmt.Errorf("check %q has the unknown status %q", c.CheckID, c.Status)
		}
		// Consul gives these two to what a person has put into maintenance, for as long as it is.
		if c.CheckID == "_node_maintenance" || strings.HasPrefix(c.CheckID, "_service_maintenance:") {
			h = maintenance
		}
		worst = max(worst, h)
	}
	return worst, nil
}

// readCatalogue reads the names of the services that have all of the tags, on whatever instance.
func readCatalogue(body []byte, tags []string) ([]string, error) {
	var all map[string][]string
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("the list of services is not understood: %w", err)
	}
	if all == nil {
		return nil, errors.New("it is no list of services: is this Consul's HTTP API?")
	}
	names := []string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !hasAll(all[name], tags) {
			continue
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(names) > MaxServices {
		return nil, fmt.Errorf("%d services with the tags %s are %w, which is %d: make several sources of them", len(names), strings.Join(tags, ", "), discovery.ErrTooMuch, MaxServices)
	}
	return names, nil
}

// hasAll compares tags as Consul does, which takes large and small letters for the same.
func hasAll(has, wanted []string) bool {
	for _, tag := range wanted {
		if !slices.ContainsFunc(has, func(t string) bool { return strings.EqualFold(t, tag) }) {
			return false
		}
	}
	return true
}
