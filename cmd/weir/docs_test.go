package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var updateCLI = flag.Bool("update-cli", false, "write docs/cli.md anew out of the commands")

const cliFile = "../../docs/cli.md"

// TestCommandsAreDocumented holds docs/cli.md against the commands themselves.
func TestCommandsAreDocumented(t *testing.T) {
	d := &cliDocument{host: hostname()}
	d.write(newRoot())
	if *updateCLI {
		if err := os.WriteFile(cliFile, d.out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(cliFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, d.out.Bytes()) {
		t.Error("docs/cli.md is not what the commands say now; look at the difference of: go test ./cmd/weir -run TestCommandsAreDocumented -update-cli")
	}
}

type cliDocument struct {
	out bytes.Buffer
	// host is this machine's name, which the document must not depend on.
	host string
}

func (d *cliDocument) line(format string, args ...any) { fmt.Fprintf(&d.out, format+"\n", args...) }

func (d *cliDocument) write(root *cobra.Command) {
	d.line("# The command line\n\nGenerated from the program by `go test ./cmd/weir -run TestCommandsAreDocumented -update-cli`; not to be edited.\n")
	d.line("%s\n", root.Long)
	d.line("The exit status is %d when all went well, %d when something was refused or failed, %d when the command line can't be understood, and %d after Ctrl-C; `plan --exit-code` gives %d when there is something to do.\n",
		exitOK, exitRefused, exitUsage, exitInterrupted, exitDiffers)
	d.line("`weir completion bash`, `zsh` and `fish` write completions for your shell; `weir help COMMAND` shows what stands here.\n")
	d.line("Every command knows these flags:\n")
	d.flags(root.PersistentFlags())
	for _, g := range root.Groups() {
		d.line("\n## %s", strings.TrimSuffix(g.Title, ":"))
		for _, c := range root.Commands() {
			if c.GroupID == g.ID && documented(c) {
				d.command(c)
			}
		}
	}
}

func documented(c *cobra.Command) bool {
	return !c.Hidden && c.Name() != "help" && c.Name() != "completion"
}

func (d *cliDocument) command(c *cobra.Command) {
	d.line("\n### %s\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	d.line("%s\n\n    %s", strings.ReplaceAll(text, "<", "&lt;"), c.UseLine())
	if c.Example != "" {
		d.line("\nAs in:\n\n%s", indented(c.Example))
	}
	if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
		d.line("")
		d.flags(flags)
	}
	for _, sub := range c.Commands() {
		if documented(sub) {
			d.command(sub)
		}
	}
}

// indented makes the examples a block of text.
func indented(example string) string {
	var lines []string
	for line := range strings.Lines(strings.TrimRight(example, "\n")) {
		lines = append(lines, "    "+strings.TrimPrefix(strings.TrimRight(line, "\n"), "  "))
	}
	return strings.Join(lines, "\n")
}

func (d *cliDocument) flags(set *pflag.FlagSet) {
	d.line("| flag | default | means |\n|---|---|---|")
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		fallback := f.DefValue
		switch fallback {
		case "", "false", "[]", "0", "0s":
			fallback = ""
		case d.host:
			fallback = "the machine's name"
		default:
			fallback = "`" + fallback + "`"
		}
		d.line("| `%s` | %s | %s |", name, fallback, strings.ReplaceAll(usage, "|", `\|`))
	})
}
