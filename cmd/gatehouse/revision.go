package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/managed"
	"gatehouse/rules/crs"
	"gatehouse/rules/revision"
	"gatehouse/rules/revision/s3depot"
)

func revisionBuildCommand() command {
	return command{
		name: "revision build", synopsis: "-config PATH -key KEY -group G -to DIR|s3://BUCKET/PREFIX [-stack S] [-o text|json]",
		short: "build and sign a revision without a manager",
		long: `
Reads the configuration as a gateway would, compiles and self-tests it, signs it with the key, and writes it as the next revision
of the group to a directory or a bucket, from which gateways take it:

    gatehouse gateway -revisions s3://BUCKET/PREFIX -group G -revision-key keys.txt -state-dir /var/lib/gatehouse

The number is one above the latest that is there, whoever wrote it, so it is also the way to go on while the manager is away.
Content that is served already is not published again: its head is signed anew. gatehouse revision key makes a key.

Files that the configuration names become part of the revision. Certificates and their keys do not: they are read on the
gateway, at the same path. Region, credentials and endpoint of S3 are those of the AWS SDK.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			path := configFlag(flags)
			b := &builder{}
			key := flags.String("key", "", "`file` of the private key to sign with (mode 0600)")
			flags.StringVar(&b.group, "group", "", "`group` of gateways that serves it")
			flags.StringVar(&b.stack, "stack", managed.DefaultStack, "`name` of the installation, as the gateways' -stack")
			flags.Uint64Var(&b.epoch, "epoch", 0, "`epoch` of the number, to begin a new one; 0 is that of the latest revision")
			to := flags.String("to", "", "`place` to write to: a directory, or s3://BUCKET/PREFIX")
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				for _, x := range []struct{ name, value string }{{"-config PATH", *path}, {"-key FILE", *key}, {"-group NAME", b.group}, {"-to PLACE", *to}} {
					if x.value == "" {
						return usagef("%s is missing", x.name)
					}
				}
				if len(args) > 0 {
					return usagef("no arguments are expected")
				}
				if !revision.ValidName(b.group) || !revision.ValidName(b.stack) {
					return usagef("-group and -stack are names: letters, digits, dots, dashes and underscores")
				}
				var err error
				if b.key, err = readSigningKey(*key); err != nil {
					return err
				}
				if b.depot, err = openDepot(ctx, *to); err != nil {
					return err
				}
				return c.buildRevision(ctx, *path, b, *output)
			}
		},
	}
}

// readSigningKey reads a private key, and says how to make one.
func readSigningKey(file string) (revision.PrivateKey, error) {
	key, err := revision.ReadPrivateKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("-key: %w; make one: gatehouse revision key -to %s", err, file)
	}
	return key, err
}

// openDepot opens a place for revisions.
func openDepot(ctx context.Context, place string) (revision.Depot, error) {
	switch {
	case strings.HasPrefix(place, s3depot.Scheme):
		return s3depot.Open(ctx, place)
	case strings.Contains(place, "://"), strings.HasPrefix(place, "ssm:"):
		return nil, usagef("%s is no place for revisions: a directory, or s3://BUCKET/PREFIX", place)
	}
	return revision.Dir(place), nil
}

// builder is what a revision is built with.
type builder struct {
	key          revision.PrivateKey
	depot        revision.Depot
	stack, group string
	epoch        uint64
}

// builtRevision is what was built.
type builtRevision struct {
	Revision string `json:"revision"`
	Stack    string `json:"stack"`
	Group    string `json:"group"`
	Epoch    uint64 `json:"epoch"`
	Number   uint64 `json:"number"`
	Hash     string `json:"hash"`
	Key      string `json:"key"`
	Changed  bool   `json:"changed"` // false if that was the latest content already
}

func (c *cli) buildRevision(ctx context.Context, path string, b *builder, output string) error {
	loaded, err := c.loadFor(path)
	if err != nil {
		return err
	}
	files, err := loaded.Bundle(b.group)
	if err != nil {
		return err
	}
	bundle, err := c.reported(config.Options{CRSVersions: crs.Versions()}.LoadBundle("/revision/"+b.group, files))
	if err != nil {
		return err
	}
	if _, err := proxy.Check(bundle); err != nil {
		fmt.Fprintln(c.stderr, err)
		return errReported
	}
	for _, w := range loaded.Warnings {
		fmt.Fprintf(c.stderr, "warning: %s\n", w)
	}
	built, err := b.publish(ctx, revision.Content{Main: config.BundleMain, Files: files, CRS: bundle.Config.Releases()})
	if err != nil {
		return err
	}
	if output == "json" {
		return c.printJSON(built)
	}
	state := "published"
	if !built.Changed {
		state = "unchanged, its head is signed anew"
	}
	fmt.Fprintf(c.stdout, "revision %s: %s\nepoch %d, number %d\n%s\nsigned with %s\n", built.Revision, state, built.Epoch, built.Number, built.Hash, built.Key)
	return nil
}

// publish writes the content as the next revision.
func (b *builder) publish(ctx context.Context, content revision.Content) (*builtRevision, error) {
	built, err := revision.Build(content)
	if err != nil {
		return nil, err
	}
	p := &revision.Publisher{Depot: b.depot, Stack: b.stack, Group: b.group, Signers: []revision.Signer{b.key}}
	head, err := p.Head(ctx)
	if err != nil {
		return nil, err
	}
	order := revision.Order{Epoch: max(1, head.Order.Epoch, b.epoch), Number: head.Order.Number + 1}
	if b.epoch != 0 && b.epoch < head.Order.Epoch {
		return nil, fmt.Errorf("-epoch %d is below %d, that of the latest revision; gateways would refuse it", b.epoch, head.Order.Epoch)
	}
	out := &builtRevision{Stack: b.stack, Group: b.group, Hash: built.Hash().String(), Key: b.key.Public().String(), Changed: true}
	if head.Group != "" && head.Content == built.Hash() && order.Epoch == head.Order.Epoch {
		order, out.Changed = head.Order, false
		err = p.Advance(ctx, order, built.Hash())
	} else {
		err = p.Publish(ctx, built, order)
	}
	if err != nil {
		return nil, err
	}
	out.Revision, out.Epoch, out.Number = fmt.Sprintf("%s/%d", b.group, order.Number), order.Epoch, order.Number
	return out, nil
}

func revisionKeyCommand() command {
	return command{
		name: "revision key", synopsis: "-to FILE | -of FILE [-o text|json]", short: "make a key to sign revisions with",
		long: `
Makes an Ed25519 key in a new file that nobody else can read, and prints the public key, which gateways get as -revision-key:

    gatehouse revision key -to revision.pem >keys.txt

-of prints that of a key that is there, such as one of: openssl genpkey -algorithm ed25519 -out revision.pem`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			to := flags.String("to", "", "`file` to make")
			of := flags.String("of", "", "`file` of a private key that is there")
			output := outputFlag(flags)
			return func(_ context.Context, args []string) error {
				if len(args) > 0 || (*to == "") == (*of == "") {
					return usagef("one of -to FILE and -of FILE is required, and nothing else")
				}
				key, err := makeOrReadKey(*to, *of)
				if err != nil {
					return err
				}
				if *output == "json" {
					return c.printJSON(map[string]string{"public": key.Public().String(), "id": key.Public().ID()})
				}
				fmt.Fprintln(c.stdout, key.Public())
				return nil
			}
		},
	}
}

func makeOrReadKey(to, of string) (key revision.PrivateKey, err error) {
	if of != "" {
		return revision.ReadPrivateKey(of)
	}
	if key, err = revision.NewPrivateKey(); err != nil {
		return key, err
	}
	text, err := key.EncodePEM()
	if err != nil {
		return key, err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return key, err // a key that is there is never lost
	}
	_, err = f.Write(text)
	return key, errors.Join(err, f.Sync(), f.Close())
}
