//! Ways to say where a run finds its workspace.

use super::{
    ArchiveFormat, GitWorkspaceSource, TemplateId, TemplateWorkspaceSource, UrlWorkspaceSource, WorkspaceSource,
};

/// Each kind of source has a type of its own, with its own methods. Where one type is needed for several kinds, `.into()`
/// makes it a `WorkspaceSource`.
impl WorkspaceSource {
    /// A git repository, on its default branch unless [`branch`](GitWorkspaceSource::branch) or
    /// [`commit`](GitWorkspaceSource::commit) says otherwise.
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

    /// A template, built in or your own.
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

    /// An archive that the service fetches from an address.
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
    /// Starts from this branch.
    #[must_use]
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// Starts from this commit.
    #[must_use]
    pub fn commit(mut self, commit: impl Into<String>) -> Self {
        self.commit = Some(commit.into());
        self
    }
}

impl TemplateWorkspaceSource {
    /// Gives a variable of the template its value.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl UrlWorkspaceSource {
    /// Says what kind of archive it is.
    #[must_use]
    pub fn format(mut self, format: ArchiveFormat) -> Self {
        self.format = Some(format);
        self
    }
}
