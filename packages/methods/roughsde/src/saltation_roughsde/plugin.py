"""The plugin: what saltation-roughsde registers."""
