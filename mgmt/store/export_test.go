package store

// EntryHash is the hash of an entry after another.
func EntryHash(e Entry, before string) string { return e.hash(before) }

// SchemaVersions are those that are known.
func SchemaVersions() ([]int, error) { return schemaVersions(schema) }

// SchemaTables are those of a version.
var SchemaTables = schemaTables
