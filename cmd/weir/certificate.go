package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
)

func newCertificate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "certificate",
		GroupID: groupChange,
		Aliases: []string{"cert"},
		Short:   "Renew or revoke a certificate",
		Long: `Renew or revoke a certificate. That one is ordered, from whom and for which names is written in its object: see
weir get certificates and weir describe certificate.`,
		Example: `  weir certificate renew www --reason "a new key, please"
  weir certificate revoke www --because keyCompromise --reason "the key was in a log"`,
	}
	cmd.AddCommand(newRenewCertificate(), newRevokeCertificate())
	return cmd
}

func newRenewCertificate() *cobra.Command {
	return certificateCommand(&cobra.Command{
		Use:     "renew CERTIFICATE",
		Short:   "Order another certificate now, with a new key",
		Long:    "Order another certificate now, with a new key, from the issuer of the present one. That one stays until the other has come.",
		Example: `  weir certificate renew www --reason "a new key, please"`,
	}, func(c *client, name string, spec *weir.Certificate, fields map[string]any) (note string, err error) {
		if spec.Issuer == "" {
			return "", fmt.Errorf("%s has no issuer to order another from: give it spec.issuer and spec.names, or upload another chain and key", weir.Ref{Kind: "Certificate", Name: name})
		}
		fields["renewAt"] = c.now().UTC().Truncate(time.Second).Format(time.RFC3339)
		return fmt.Sprintf("Issuer/%s is asked for another; weir describe certificate %s tells how it goes.", spec.Issuer, name), nil
	})
}

func newRevokeCertificate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke CERTIFICATE",
		Short: "Take a certificate out everywhere at once, and tell its issuer",
		Long: `Take a certificate out everywhere at once, waves or not, and tell its issuer that it is not to be trusted. This can't be
taken back. Another one is ordered at once with a new key, but not because of cessationOfOperation and
affiliationChanged: then weir certificate renew orders one, if ever. Until it has come, clients of its names are refused.`,
		Example: `  weir certificate revoke www --because keyCompromise --reason "the key was in a log"`,
	}
	because := cmd.Flags().String("because", "unspecified", "what the issuer is told: unspecified, keyCompromise, superseded, affiliationChanged or cessationOfOperation")
	_ = cmd.RegisterFlagCompletionFunc("because", cobra.FixedCompletions(weir.RevocationReasons, cobra.ShellCompDirectiveNoFileComp))
	return certificateCommand(cmd, func(c *client, name string, spec *weir.Certificate, fields map[string]any) (note string, err error) {
		if !slices.Contains(weir.RevocationReasons, *because) {
			return "", usagef("--because %q must be one of %s", *because, strings.Join(weir.RevocationReasons, ", "))
		}
		if spec.Revoked != nil {
			return "", fmt.Errorf("%s was revoked at %s already", weir.Ref{Kind: "Certificate", Name: name}, clock(spec.Revoked.At))
		}
		fields["revoked"] = map[string]string{"at": c.now().UTC().Truncate(time.Second).Format(time.RFC3339), "reason": *because}
		if spec.Issuer == "" {
			return "No issuer is told: the certificate was uploaded. Tell the authority yourself.", nil
		}
		return fmt.Sprintf("Issuer/%s is told; weir describe certificate %s says when it knows.", spec.Issuer, name), nil
	})
}

// certificateCommand completes a command that changes fields of one certificate's spec.
func certificateCommand(cmd *cobra.Command, change func(c *client, name string, spec *weir.Certificate, fields map[string]any) (note string, err error)) *cobra.Command {
	cmd.Args = exactArgs(1, "say which certificate")
	cmd.ValidArgsFunction = completeNames("Certificate")
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	wait := addWaitFlag(cmd)
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := nameOf("Certificate", args[0])
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		kind, _ := weir.KindByName("Certificate")
		o, err := c.one(cmd.Context(), kind, name)
		if err != nil {
			return err
		}
		var wish struct {
			Kind     string          `json:"kind"`
			Metadata json.RawMessage `json:"metadata"`
			Spec     map[string]any  `json:"spec"`
		}
		if err := json.Unmarshal(o.wish(), &wish); err != nil {
			return fmt.Errorf("read Certificate/%s: %w", name, err)
		}
		note, err := change(c, name, o.Spec.(*weir.Certificate), wish.Spec)
		if err != nil {
			return err
		}
		body, err := json.Marshal(wish)
		if err != nil {
			return fmt.Errorf("write Certificate/%s: %w", name, err)
		}
		why := *reason
		if why == "" {
			why = cmd.Name() + " " + name
		}
		return write(cmd, &writes{body: body}, writeOptions{reason: why, dryRun: *dryRun, wait: *wait, output: *output, note: note, certificates: []string{name}})
	}
	return cmd
}
