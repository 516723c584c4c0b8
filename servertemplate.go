package weir

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ServerTemplate says how an instance that a source has becomes a Server. Each text may hold ${field}, which is replaced
// by what the source says of the instance, and ${field:-otherwise} for where it says nothing. Names are put in lower
// case, and what can't be in a name is replaced by "-".
type ServerTemplate struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
	Zone    string `json:"zone,omitempty"`
	// Clusters, Ports and Labels that come out empty are left out.
	Clusters []string          `json:"clusters,omitempty"`
	Ports    map[string]string `json:"ports,omitempty"`
	Weight   string            `json:"weight,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// usualTemplates are what a source's server has when it does not say.
var usualTemplates = map[string]ServerTemplate{
	"consul":     {Name: "${node}-${id}", Address: "${address}"},
	"zookeeper":  {Name: "${node}", Address: "${host}"},
	"dns":        {Name: "${address}", Address: "${address}"},
	"kubernetes": {Name: "${name}", Address: "${address}", Zone: "${zone}"},
	"file":       {Name: "${target}", Address: "${address}"},
	"url":        {Name: "${target}", Address: "${address}"},
}

// sourceFields are what each driver says of an instance; "label.*" stands for label.NAME with any name, "*" for any field.
var sourceFields = map[string][]string{
	"consul":     {"service", "id", "address", "port", "node", "nodeAddress", "datacenter", "namespace", "partition", "tags", "health", "weight", "meta.*", "nodeMeta.*", "tagged.*"},
	"zookeeper":  {"node", "path", "host", "port", "host.*", "port.*", "status", "*"},
	"dns":        {"name", "address", "family"},
	"dns srv":    {"name", "address", "family", "target", "port", "priority", "weight"},
	"kubernetes": {"name", "address", "port", "port.*", "namespace", "service", "kind", "hostname", "node", "zone", "hints"},
	"file":       {"target", "address", "port", "label.*"},
	"url":        {"target", "address", "port", "label.*"},
}

// SourceFields lists what a driver says of an instance, for templates: "label.*" stands for label.NAME with any name, "*"
// for any field. The driver of SRV records is "dns srv".
func SourceFields(driver string) []string { return slices.Clone(sourceFields[driver]) }

// fields lists what templates of the source can use.
func (d *DiscoverySource) fields() []string {
	driver := d.Driver()
	if d.DNS != nil && d.DNS.SRV {
		driver = "dns srv"
	}
	return sourceFields[driver]
}

func (t *ServerTemplate) validate(p *Problems, driver string, fields []string) {
	check := func(path, text string) {
		parsed, err := ParseTemplate(text)
		if err != nil {
			p.Add(path, "%s", err)
			return
		}
		for _, field := range parsed.Fields() {
			if !hasField(fields, field) {
				p.Add(path, "%s says nothing of a field %q; it has %s", driver, clip(field), strings.Join(fields, ", "))
			}
		}
	}
	for path, text := range map[string]string{"server.name": t.Name, "server.address": t.Address, "server.zone": t.Zone} {
		if text == "" {
			p.Add(path, "is required")
		} else {
			check(path, text)
		}
	}
	check("server.weight", t.Weight)
	for i, text := range t.Clusters {
		check(index("server.clusters", i), text)
	}
	for _, name := range sortedKeys(t.Ports) {
		checkPortName(p, "server.ports["+clip(name)+"]", name)
		check("server.ports["+clip(name)+"]", t.Ports[name])
	}
	for _, key := range sortedKeys(t.Labels) {
		text(p, "server.labels["+clip(key)+"]", key, 63)
		check("server.labels["+clip(key)+"]", t.Labels[key])
	}
	if len(t.Clusters) > mostMapped || len(t.Ports) > mostMapped || len(t.Labels) > mostMapped {
		p.Add("server", "has more than %d clusters, ports or labels", mostMapped)
	}
}

// mostMapped is how many clusters, ports and labels a template can have.
const mostMapped = 32

func hasField(fields []string, name string) bool {
	return slices.ContainsFunc(fields, func(f string) bool {
		prefix, open := strings.CutSuffix(f, "*")
		return f == name || open && strings.HasPrefix(name, prefix) && len(name) > len(prefix)
	})
}

// Template is a text with fields in it. Its zero value is the empty text.
type Template struct {
	pieces []piece
}

// piece is a text, or a field with what stands in its place when there is none.
type piece struct {
	text, field string
	otherwise   string
	optional    bool
}

// maxTemplate is the longest template, in bytes.
const maxTemplate = 500

// ParseTemplate reads a text with ${field} and ${field:-otherwise} in it; there is no other use of "$".
func ParseTemplate(s string) (Template, error) {
	if len(s) > maxTemplate {
		return Template{}, fmt.Errorf("is %d bytes long; at most %d are allowed", len(s), maxTemplate)
	}
	if strings.IndexFunc(s, misleads) >= 0 {
		return Template{}, fmt.Errorf("%q holds a control character, or one that hides text", clip(s))
	}
	var t Template
	for rest := s; rest != ""; {
		before, after, found := strings.Cut(rest, "$")
		if before != "" {
			t.pieces = append(t.pieces, piece{text: before})
		}
		if !found {
			break
		}
		body, opened := strings.CutPrefix(after, "{")
		inner, after, closed := strings.Cut(body, "}")
		if !opened || !closed {
			return Template{}, fmt.Errorf("%q: write ${field}, or ${field:-otherwise}; there is no other use of $", clip(s))
		}
		field, otherwise, optional := strings.Cut(inner, ":-")
		if !isField(field) || strings.ContainsAny(otherwise, "${") {
			return Template{}, fmt.Errorf("%q: ${%s} names no field; write ${field}, or ${field:-otherwise}", clip(s), clip(inner))
		}
		t.pieces = append(t.pieces, piece{field: field, otherwise: otherwise, optional: optional})
		rest = after
	}
	return t, nil
}

// isField says whether a text can be the name of a field.
func isField(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '$' || r == '{' || r == ':' })
}

// Fields are the names of those that the template has, each once, sorted.
func (t Template) Fields() []string {
	names := map[string]bool{}
	for _, p := range t.pieces {
		if p.field != "" {
			names[p.field] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Fill puts fields in their places. A field that is not there, or empty, and has no otherwise is an error.
func (t Template) Fill(fields map[string]string) (string, error) {
	if len(t.pieces) == 1 { // nearly all are
		return t.pieces[0].fill(fields)
	}
	var b strings.Builder
	for i := range t.pieces {
		s, err := t.pieces[i].fill(fields)
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func (p *piece) fill(fields map[string]string) (string, error) {
	if p.field == "" {
		return p.text, nil
	}
	if v := fields[p.field]; v != "" {
		return v, nil
	}
	if !p.optional {
		return "", fmt.Errorf("it has no %s; write ${%s:-otherwise} for those without", p.field, p.field)
	}
	return p.otherwise, nil
}

// NameOf makes a name of a text (CheckName): letters are put in lower case, each run of what can't be in a name becomes
// one "-", and neither "-" nor "_" begins or ends it. One that is too long is cut, and ends in eight digits of the
// text's sum, so that two of them stay two. A text without a letter or digit gives none.
func NameOf(s string) string {
	var b strings.Builder
	b.Grow(min(len(s), 4*MaxName))
	gap := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		word := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || (c == '_' || c == '-') && b.Len() > 0
		if !word {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('-')
		}
		gap = false
		b.WriteByte(c)
	}
	name := strings.TrimRight(b.String(), "-_")
	if len(name) <= MaxName {
		return name
	}
	return fmt.Sprintf("%s-%08x", strings.TrimRight(name[:MaxName-9], "-_"), fnv32(s))
}

// fnv32 is FNV-1a.
func fnv32(s string) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
