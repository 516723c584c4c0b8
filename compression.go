package weir

import (
	"fmt"
	"slices"
	"strings"
)

// Compression lets answers of a pool's servers be sent compressed with gzip to clients that take it. What servers have
// compressed themselves goes on as it is. Answers that hold a secret beside what a client may choose are better left
// alone: their length tells of the secret.
type Compression struct {
	// Types are the media types that are compressed; text, JavaScript, JSON, XML and SVG when left out.
	Types []string `json:"types,omitempty"`
	// MinSize is the least length in bytes that is worth it, where the server tells the length; 1024 when left out.
	MinSize int `json:"minSize,omitempty"`
}

// CompressedTypes are the media types that are compressed when a pool does not say.
var CompressedTypes = []string{
	"application/javascript", "application/json", "application/xml", "image/svg+xml", "text/css", "text/html", "text/javascript", "text/plain", "text/xml",
}

// Same says that two pools compress alike; either may be nil.
func (c *Compression) Same(o *Compression) bool {
	return c == o || c != nil && o != nil && c.MinSize == o.MinSize && slices.Equal(c.Types, o.Types)
}

func (c *Compression) normalize() {
	if c == nil {
		return
	}
	if len(c.Types) == 0 {
		c.Types = slices.Clone(CompressedTypes)
	}
	for i, t := range c.Types {
		c.Types[i] = strings.ToLower(t)
	}
	slices.Sort(c.Types)
	setDefault(&c.MinSize, 1024)
}

func (c *Compression) validate(p *Problems, mode string) {
	if c == nil {
		return
	}
	if mode == "tcp" {
		p.Add("compression", "is for http pools")
	}
	if len(c.Types) > 32 {
		p.Add("compression.types", "has %d types; 32 at most", len(c.Types))
	}
	unique(p, "compression.types", c.Types)
	for i, t := range c.Types {
		if err := checkMediaType(t); err != nil {
			p.Add(index("compression.types", i), "%s", err)
		}
	}
	between(p, "compression.minSize", c.MinSize, 1, 1<<30)
}

// checkMediaType takes a type and a subtype (RFC 6838, 4.2).
func checkMediaType(t string) error {
	kind, sub, ok := strings.Cut(t, "/")
	good := func(s string) bool {
		return s != "" && len(s) <= 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.+-_") == ""
	}
	if !ok || !good(kind) || !good(sub) {
		return fmt.Errorf("%q is no media type such as text/html", clip(t))
	}
	return nil
}
