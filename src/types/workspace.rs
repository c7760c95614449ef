//! Constructors and setters of workspace sources.

use super::{
    ArchiveFormat, GitWorkspaceSource, TemplateId, TemplateWorkspaceSource, UrlWorkspaceSource, WorkspaceSource,
};

/// Each kind of source has its own type and methods. `.into()` converts it to a `WorkspaceSource`.
impl WorkspaceSource {
    /// Creates a source from a git repository. Defaults to its default branch; set
    /// [`branch`](GitWorkspaceSource::branch) or [`commit`](GitWorkspaceSource::commit) for another.
    ///
    /// ```
    /// use agentgate::WorkspaceSource;
    ///
    /// let source = WorkspaceSource::git("https://github.com/your-org/your-repo").branch("main");
    /// assert_eq!(source.branch.as_deref(), Some("main"));
    /// ```
    #[must_use]
    pub fn git(repository: impl Into<String>) -> GitWorkspaceSource {
        GitWorkspaceSource::new(repository)
    }

    /// Creates a source from a template, a built-in one or your own.
    ///
    /// ```
    /// use agentgate::WorkspaceSource;
    ///
    /// let source = WorkspaceSource::template("python-fastapi").variable("name", "shop");
    /// assert_eq!(source.variables["name"], "shop");
    /// ```
    #[must_use]
    pub fn template(id: impl Into<TemplateId>) -> TemplateWorkspaceSource {
        TemplateWorkspaceSource::new(id)
    }

    /// Creates a source from an archive that the service fetches from a URL.
    ///
    /// ```
    /// use agentgate::WorkspaceSource;
    /// use agentgate::types::ArchiveFormat;
    ///
    /// let source = WorkspaceSource::url("https://example.com/shop.zip").format(ArchiveFormat::Zip);
    /// assert_eq!(source.format, Some(ArchiveFormat::Zip));
    /// ```
    #[must_use]
    pub fn url(url: impl Into<String>) -> UrlWorkspaceSource {
        UrlWorkspaceSource::new(url)
    }
}

impl GitWorkspaceSource {
    /// Sets the branch.
    #[must_use]
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// Sets the commit.
    #[must_use]
    pub fn commit(mut self, commit: impl Into<String>) -> Self {
        self.commit = Some(commit.into());
        self
    }
}

impl TemplateWorkspaceSource {
    /// Sets a variable of the template.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl UrlWorkspaceSource {
    /// Sets the format of the archive.
    #[must_use]
    pub fn format(mut self, format: ArchiveFormat) -> Self {
        self.format = Some(format);
        self
    }
}
