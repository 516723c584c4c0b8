package hapctl

import (
	"context"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	"weir"
	"weir/internal/haproxy"
)

// setCA fills an authority file, in parts when one command can't hold it, and commits it.
func (c Executor) setCA(ctx context.Context, path string) error {
	bundle, err := c.File(path)
	if err != nil {
		return err
	}
	verb := "set"
	for _, part := range caParts([]byte(bundle)) {
		cmd, err := NewCommand(verb, "ssl", "ca-file", path)
		if err != nil {
			return err
		}
		if cmd, err = cmd.WithPayload(part); err != nil {
			return err
		}
		if _, err := c.Do(ctx, cmd); err != nil {
			// Left open, the transaction would take the next change for its continuation.
			return errors.Join(err, c.abortCA(ctx, path, verb))
		}
		verb = "add"
	}
	return c.run(ctx, "commit", "ssl", "ca-file", path)
}

func (c Executor) abortCA(ctx context.Context, path, verb string) error {
	if verb == "set" {
		return nil
	}
	return c.run(ctx, "abort", "ssl", "ca-file", path)
}

// caParts cuts a bundle between its certificates into pieces that a command can hold.
func caParts(bundle []byte) []string {
	const most = 15_000
	var parts []string
	var b strings.Builder
	for {
		block, rest := pem.Decode(bundle)
		if block == nil {
			break
		}
		text := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})
		if b.Len() > 0 && b.Len()+len(text) > most {
			parts = append(parts, b.String())
			b.Reset()
		}
		b.Write(text)
		bundle = rest
	}
	return append(parts, b.String())
}

func (o *observer) authority(ctx context.Context, k haproxy.Cert) error {
	prints, err := o.AuthorityPrints(ctx, k.Path)
	var refused *Refused
	if errors.As(err, &refused) {
		return nil
	}
	if err != nil {
		return err
	}
	want := chainSHA1(k.Chain.String())
	slices.Sort(want)
	slices.Sort(prints)
	if !slices.Equal(want, prints) {
		k.Digest, k.Chain = "another: SHA1 "+strings.Join(prints, " "), weir.Chain{}
	}
	o.seen.Certs = append(o.seen.Certs, k)
	return nil
}

// AuthorityPrints gives the SHA1 fingerprints, upper case, of the certificates in a CA file that HAProxy has.
func (c *Client) AuthorityPrints(ctx context.Context, path string) ([]string, error) {
	return ask(ctx, c, func(text string) ([]string, error) {
		var list []string
		for line := range strings.SplitSeq(text, "\n") {
			if _, print, ok := strings.Cut(line, "SHA1 FingerPrint: "); ok {
				list = append(list, strings.TrimSpace(print))
			}
		}
		return list, nil
	}, "show", "ssl", "ca-file", path)
}
