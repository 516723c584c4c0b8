package filesd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/internal/discovery"
)

// The formats of a list.
const (
	formatJSON = "json"
	formatYAML = "yaml"
)

// maxYAML bounds a list in YAML, which takes some hundred times its size to read.
const maxYAML = 8 << 20

// maxLabels bounds the labels of all targets together: each target has its group's, and so a short list can have many.
const maxLabels = 3_000_000

// group is a group of a list.
type group struct {
	Targets []string          `json:"targets" yaml:"targets"`
	Labels  map[string]string `json:"labels" yaml:"labels"`
}

// read reads a list, all of it or none.
func read(l *list) ([]discovery.Found, error) {
	if len(bytes.TrimSpace(l.body)) == 0 {
		return nil, errors.New("it is empty; write [] if there are no targets")
	}
	groups := readJSON
	if l.format == formatYAML {
		groups = readYAML
	}
	found := []discovery.Found{}
	n, labels := 0, 0
	err := groups(l.body, func(g *group) error {
		n++
		if g == nil {
			return fmt.Errorf("group %d is null", n)
		}
		if n > discovery.MaxFound || len(found)+len(g.Targets) > discovery.MaxFound {
			return fmt.Errorf("more than %d targets are %w", discovery.MaxFound, discovery.ErrTooMuch)
		}
		if labels += len(g.Targets) * len(g.Labels); labels > maxLabels {
			return fmt.Errorf("the targets have %d labels together, with those of group %d: this is %w, which is %d", labels, n, discovery.ErrTooMuch, maxLabels)
		}
		for i, target := range g.Targets {
			f, err := g.found(target)
			if err != nil {
				return fmt.Errorf("group %d, target %d: %w", n, i+1, err)
			}
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, discovery.Arrange(found)
}

// readJSON gives each group as it comes, so that few of them are enough to see that there are too many.
func readJSON(body []byte, each func(*group) error) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("it is no list of groups in JSON, as [{\"targets\": [\"10.0.0.1:80\"], \"labels\": {}}]")
	}
	for n := 1; d.More(); n++ {
		var g *group
		if err := d.Decode(&g); err != nil {
			return fmt.Errorf("group %d is not understood: %w", n, err)
		}
		if err := each(g); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("the list ends early: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something comes after the list")
	}
	return nil
}

func readYAML(body []byte, each func(*group) error) error {
	if len(body) > maxYAML {
		return fmt.Errorf("%d MiB of YAML are %w, which is %d MiB: use JSON", len(body)>>20, discovery.ErrTooMuch, maxYAML>>20)
	}
	d := yaml.NewDecoder(bytes.NewReader(body))
	d.KnownFields(true)
	var groups []*group
	if err := d.Decode(&groups); err != nil {
		return fmt.Errorf("it is not understood: %w", err)
	}
	if groups == nil {
		return errors.New("it is null; write [] if there are no targets")
	}
	if err := d.Decode(new(yaml.Node)); err != io.EOF {
		return errors.New("something comes after the list, as a second document does")
	}
	for _, g := range groups {
		if err := each(g); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) found(target string) (discovery.Found, error) {
	host, port, ok := split(target)
	if !ok {
		return discovery.Found{}, fmt.Errorf("%q is no host:port", target[:min(len(target), 300)])
	}
	fields := make(map[string]string, len(g.Labels)+3)
	for name, value := range g.Labels {
		if name == "" {
			return discovery.Found{}, errors.New("a label has no name")
		}
		fields["label."+name] = value
	}
	fields["target"], fields["address"] = target, host
	if port != "" {
		fields["port"] = port
	}
	return discovery.Found{ID: target, Fields: fields}, nil
}

// split takes a target apart: a host name or an address, with or without a port.
func split(target string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(target)
	if err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' {
			return "", "", false
		}
		// Only an IPv6 address has brackets.
		if strings.HasPrefix(target, "[") {
			return host, port, isIPv6(host)
		}
		return host, port, isHost(host)
	}
	if inner, found := strings.CutPrefix(target, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		return inner, "", found && isIPv6(inner)
	}
	return target, "", isHost(target) || isIPv6(target)
}

func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// isHost says whether it is an IPv4 address or could be a host name; what is known of the latter decides the mapping.
func isHost(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}
