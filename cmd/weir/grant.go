package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"weir"
)

func newGrant() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "grant SUBJECT RIGHT --role ROLE",
		GroupID: groupAccess,
		Short:   "Give, list and remove rights on a role's objects",
		Long: `Give a subject, the name in a token, a right on the objects of a role, or with --role '*' on everything:
viewer (read), operator (drain and weigh servers), owner (everything of the role), admin (the platform, '*' only).
Each right holds those before it. One subject has one right per role; a second grant replaces the first.`,
		Example: `  weir grant ann owner --role web
  weir grant oncall operator --role '*' --reason "rota"
  weir grant list
  weir grant remove ann-web`,
		Args:              subjectAndRight,
		ValidArgsFunction: completeRights,
	}
	role := cmd.Flags().String("role", "", "whose objects; '*' for everybody's and the platform's")
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("role", completeNames("Role"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *role == "" {
			return usagef("--role is required; '*' stands for everything")
		}
		o := &weir.Object{
			Kind: "Grant", Metadata: weir.Metadata{Name: grantName(args[0], *role)},
			Spec: &weir.Grant{Subject: args[0], Right: weir.Right(args[1]), Role: *role},
		}
		if problems := weir.Validate(o); len(problems) > 0 {
			return &weir.Error{Kind: weir.Invalid, Message: "the grant can't be made; nothing was changed", Problems: problems}
		}
		body, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("write %s: %w", o.Ref(), err)
		}
		return write(cmd, &writes{body: body}, writeOptions{reason: *reason, dryRun: *dryRun, output: "text"})
	}
	cmd.AddCommand(
		newListOf("Grant", "List who has which right", "  weir grant list"),
		newDeleteOf("Grant", "remove NAME…", "Take rights away", "  weir grant remove ann-web --dry-run"),
	)
	return cmd
}

// subjectAndRight asks for two words; when the first is like a command and the second no right, that was meant.
func subjectAndRight(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && (len(args) == 1 || !slices.Contains(rightWords(), args[1])) {
		if near := nearCommands(cmd, args[0]); len(near) > 0 {
			return unknownCommand(cmd, args[0])
		}
	}
	return rangeArgs(2, 2, "say who and which right: viewer, operator, owner or admin")(cmd, args)
}

// grantName is the same for the same subject and role, so that a second grant replaces the first.
func grantName(subject, role string) string {
	if role == "*" {
		role = "everything"
	}
	return fixedName(subject + "-" + role)
}
