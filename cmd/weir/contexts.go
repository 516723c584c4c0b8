package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"weir/internal/secrets"
)

// contexts are the control planes that a person knows, kept in a file that only they can read.
type contexts struct {
	// Current is the context that is used when none is named.
	Current  string         `yaml:"current,omitempty"`
	Contexts []namedContext `yaml:"contexts"`

	path string
}

// namedContext is one control plane with the credential for it.
type namedContext struct {
	Name string `yaml:"name"`
	URL  string `yaml:"url"`
	// CA is the hash that pins the control plane's CA; while that is being changed, both hashes and a comma.
	CA    string `yaml:"ca"`
	Token string `yaml:"token"`

	// kept says that the pin is the file's, and not the environment's.
	kept bool
}

// errNowhere is the error of who has never logged in.
var errNowhere = errors.New("no control plane is known: run weir login URL --ca sha256:…, or set WEIR_URL, WEIR_CA and WEIR_TOKEN")

func contextsPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the configuration folder: %w", err)
	}
	return filepath.Join(dir, "weir", "config.yaml"), nil
}

// loadContexts reads the file; one that is not there holds no contexts.
func loadContexts() (*contexts, error) {
	path, err := contextsPath()
	if err != nil {
		return nil, err
	}
	c := &contexts{path: path}
	text, err := secrets.ReadPrivateFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil {
		// Not the reader's error, which may quote a token.
		return nil, fmt.Errorf("read %s: it is not as weir login writes it; mend it, or remove it and log in again", path)
	}
	return c, nil
}

// save puts the file in place, whole or not at all.
func (c *contexts) save() error {
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("write %s: %w", c.path, err)
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", c.path, err)
	}
	return secrets.WriteFile(c.path, text, 0o600)
}

func (c *contexts) find(name string) *namedContext {
	i := slices.IndexFunc(c.Contexts, func(n namedContext) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Contexts[i]
}

// put adds a context, or replaces the one of its name.
func (c *contexts) put(n namedContext) {
	if old := c.find(n.Name); old != nil {
		*old = n
		return
	}
	c.Contexts = append(c.Contexts, n)
	slices.SortFunc(c.Contexts, func(a, b namedContext) int { return strings.Compare(a.Name, b.Name) })
}

func (c *contexts) names() []string {
	names := make([]string, len(c.Contexts))
	for i, n := range c.Contexts {
		names[i] = n.Name
	}
	return names
}

// chosen gives the control plane to talk to: the context of --context, or else of WEIR_CONTEXT or the current one,
// with what WEIR_URL, WEIR_CA and WEIR_TOKEN say instead.
func chosen(cmd *cobra.Command) (namedContext, error) {
	name, _ := cmd.Flags().GetString("context")
	var env namedContext
	if name == "" { // what somebody types now is not overruled by what a shell was told once
		name = os.Getenv("WEIR_CONTEXT")
		env = namedContext{URL: os.Getenv("WEIR_URL"), CA: os.Getenv("WEIR_CA"), Token: os.Getenv("WEIR_TOKEN")}
	}
	if name == "" && env.URL != "" && env.CA != "" && env.Token != "" {
		env.Name = "environment"
		return env, nil
	}
	all, err := loadContexts()
	if err != nil {
		return namedContext{}, err
	}
	if name == "" {
		name = all.Current
	}
	var base namedContext
	switch known := all.find(name); {
	case known != nil:
		base = *known
		base.kept = true
	case name != "":
		return namedContext{}, fmt.Errorf("there is no context %q in %s; there %s", name, all.path, thoseAre(all.names()))
	}
	return base.with(env)
}

func thoseAre(names []string) string {
	switch len(names) {
	case 0:
		return "are none"
	case 1:
		return "is " + names[0]
	}
	return "are " + list(names)
}

// with lays the environment over a context. A token and a pin are never taken along to another address: they
// are that control plane's.
func (n namedContext) with(env namedContext) (namedContext, error) {
	if env.URL != "" && env.URL != n.URL {
		n = namedContext{Name: "environment", URL: env.URL}
	}
	if env.CA != "" && env.CA != n.CA {
		n.CA, n.kept = env.CA, false
	}
	if env.Token != "" {
		n.Token = env.Token
	}
	switch {
	case n.URL == "":
		return n, errNowhere
	case n.CA == "":
		return n, fmt.Errorf("no CA is pinned for %s: set WEIR_CA to the hash that the control plane prints when it starts, or run weir login", n.URL)
	case n.Token == "":
		return n, fmt.Errorf("there is no token for %s: set WEIR_TOKEN, or run weir login", n.URL)
	}
	return n, nil
}

// parseURL reads a control plane's address, which must be one where a token can be sent.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return nil, fmt.Errorf("%q must be a control plane's address, such as https://weir.example.com:7443", text)
	case u.Scheme != "https":
		return nil, fmt.Errorf("%q must begin with https:// : a token is never sent in the clear", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the control plane's address may hold a host, a port and a path, nothing more")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}
