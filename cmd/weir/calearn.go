package main

import (
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/internal/secrets"
)

// caHeader names in every answer the CAs to pin, the issuing one first.
const caHeader = "Weir-CA"

// hear takes over which CAs are to be pinned from now on, once per client: the answer came over a connection that
// the present pin has proven.
func (c *client) hear(resp *http.Response) {
	if c.learn == nil || resp.TLS == nil || resp.Header.Get(caHeader) == "" {
		return
	}
	told, err := secrets.CheckCAHashes(resp.Header.Get(caHeader))
	if err != nil {
		return // of a control plane newer than we are
	}
	// Whoever is believed by this connection is among those told, or the answer comes from a server that lags.
	if _, err := secrets.PinnedCA(*resp.TLS, told...); err != nil {
		return
	}
	c.learning.Do(func() { c.learn(told) })
}

// learner keeps what the control plane says of its CA where the pin came from.
func learner(cmd *cobra.Command, from namedContext) func([]string) {
	had, err := secrets.CheckCAHashes(from.CA)
	if err != nil {
		return nil // connecting says so
	}
	return func(told []string) {
		if slices.Equal(had, told) {
			return
		}
		if !from.kept {
			if slices.ContainsFunc(told, func(h string) bool { return !slices.Contains(had, h) }) {
				noted(cmd.ErrOrStderr(), "The control plane's CA is being changed: set WEIR_CA to %s", strings.Join(told, ","))
			}
			return
		}
		if err := repin(from, strings.Join(told, ",")); err != nil {
			noted(cmd.ErrOrStderr(), "The control plane's CA is being changed, and the new one can't be kept for context %s: %v", from.Name, err)
		}
	}
}

// repin changes the pin of a context, unless somebody has changed it meanwhile.
func repin(from namedContext, pin string) error {
	all, err := loadContexts()
	if err != nil {
		return err
	}
	known := all.find(from.Name)
	if known == nil || known.URL != from.URL || known.CA != from.CA {
		return nil
	}
	known.CA = pin
	return all.save()
}
