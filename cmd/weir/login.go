package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"weir/internal/api"
	"weir/internal/secrets"
)

func newLogin() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "login URL --ca sha256:…",
		GroupID: groupAccess,
		Short:   "Remember a control plane, its CA and your token",
		Long: `Remember a control plane with your token for it, after checking both. The CA's hash, which the control plane
prints when it starts, pins the CA: no other certificate is believed. When the CA is changed (weir ca rotate), any
command given meanwhile learns the new one by itself.

The token is read from --token-file, or from standard input, or asked for without showing it; there is no flag
for it, because other users of the machine see command lines. It is kept in weir/config.yaml in your
configuration folder, which only you can read. WEIR_URL, WEIR_CA and WEIR_TOKEN say it for one command.`,
		Example: `  weir login https://weir.example.com:7443 --ca sha256:9f86d0…
  weir login https://weir.example.com:7443 --ca sha256:9f86d0… --name prod --token-file ~/weir.token
  vault read -field=token secret/weir | weir login https://weir.example.com:7443 --ca sha256:9f86d0…`,
		Args: exactArgs(1, "say the control plane's address, such as https://weir.example.com:7443"),
	}
	ca := cmd.Flags().String("ca", "", `hash of the control plane's CA, "sha256:" and 64 digits`)
	name := cmd.Flags().String("name", "", "what to call it; the host when left out")
	file := cmd.Flags().String("token-file", "", "file with the token; - for standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		base, err := parseURL(args[0])
		if err != nil {
			return usageError{err}
		}
		if *ca == "" {
			return usagef("--ca is required: the hash that the control plane prints when it starts")
		}
		pins, err := secrets.CheckCAHashes(*ca)
		if err != nil {
			return usageError{err}
		}
		token, err := readToken(cmd, *file)
		if err != nil {
			return err
		}
		to := namedContext{Name: contextName(cmd, *name, base), URL: base.String(), CA: strings.Join(pins, ","), Token: token}
		return login(cmd, to)
	}
	return cmd
}

func contextName(cmd *cobra.Command, name string, base *url.URL) string {
	if name != "" {
		return name
	}
	if context, _ := cmd.Flags().GetString("context"); context != "" {
		return context
	}
	return base.Hostname()
}

// login checks a context against the control plane, and only then keeps it.
func login(cmd *cobra.Command, to namedContext) error {
	c, err := newClient(to, timeoutOf(cmd, answerWithin))
	if err != nil {
		return err
	}
	c.learn = func(told []string) { to.CA = strings.Join(told, ",") }
	me := new(api.WhoAmI)
	if err := c.get(cmd.Context(), "whoami", nil, me); err != nil {
		return err
	}
	all, err := loadContexts()
	if err != nil {
		return err
	}
	all.put(to)
	all.Current = to.Name
	if err := all.save(); err != nil {
		return err
	}
	s := stdout(cmd)
	s.printf("You are %s at %s, which runs weir %s.\n", s.strong(clean(me.Subject)), to.URL, clean(me.Version))
	s.printf("%s\n", rightsText(me))
	s.printf("Kept as context %s in %s.\n", s.strong(to.Name), all.path)
	return nil
}

func rightsText(me *api.WhoAmI) string {
	if len(me.Grants) == 0 {
		return "Nothing is granted to you yet; an admin gives you a right with weir grant."
	}
	var parts []string
	for _, g := range me.Grants {
		on := "role " + g.Role
		if g.Role == "*" {
			on = "everything"
		}
		parts = append(parts, string(g.Right)+" of "+on)
	}
	return "You are " + clean(some(parts, 8)) + "."
}

// readToken gets the token without anybody seeing it.
func readToken(cmd *cobra.Command, file string) (string, error) {
	in := cmd.InOrStdin()
	f, isFile := in.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
	switch {
	case file != "" && file != "-":
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		return checkToken(string(text), file)
	case terminal && file == "":
		noted(cmd.ErrOrStderr(), "Token (it is not shown):")
		text, err := term.ReadPassword(int(f.Fd()))
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		return checkToken(string(text), "what you typed")
	}
	text, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return checkToken(text, "standard input")
}

// checkToken takes a text that is a token of people or programs; whence says where it was read.
func checkToken(text, whence string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", fmt.Errorf("read the token: %s is empty; a token begins with weir_api_: pipe it in, or name its file with --token-file", whence)
	}
	kind, err := secrets.TokenKind(text)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	if kind == "join" {
		return "", errors.New("this is a join token, which only enrols an agent: give it to weir agent")
	}
	return text, nil
}
