//! Templates: workspaces to start from.

use serde_json::{Map, Value};

use super::pages::in_one_piece;
use crate::types::{self, Template, TemplateId, TemplateVariable, WorkspaceSource};

resource! {
    /// Templates: from [`Client::templates`](crate::Client::templates).
    Templates
}

impl Templates {
    /// Lists templates, the built-in ones among them.
    pub fn list(&self) -> ListTemplates {
        ListTemplates::new(self.client.clone())
    }

    /// Creates a template. Its id is yours to choose: lower case, with hyphens.
    ///
    /// ```no_run
    /// use agentgate::WorkspaceSource;
    /// use agentgate::types::TemplateVariable;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let template = client
    ///     .templates()
    ///     .create("our-api", "Our API", WorkspaceSource::git("https://github.com/your-org/template"))
    ///     .tags(["api", "rust"])
    ///     .variables([TemplateVariable::new("name")])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(
        &self,
        id: impl Into<TemplateId>,
        name: impl Into<String>,
        source: impl Into<WorkspaceSource>,
    ) -> CreateTemplate {
        CreateTemplate::new(self.client.clone(), types::CreateTemplate::new(id, name, source))
    }

    /// Gets a template by its id.
    pub fn get(&self, id: impl Into<TemplateId>) -> GetTemplate {
        GetTemplate::new(self.client.clone(), id.into())
    }

    /// Changes a template. Built-in templates refuse with a [conflict](crate::Error::is_conflict).
    ///
    /// The service takes this as a whole (`PUT`) and does not document what becomes of fields that are left out: name
    /// all that shall stay.
    pub fn update(&self, id: impl Into<TemplateId>) -> UpdateTemplate {
        UpdateTemplate::new(self.client.clone(), id.into(), types::UpdateTemplate::new())
    }

    /// Deletes a template. Built-in templates refuse with a [conflict](crate::Error::is_conflict).
    pub fn delete(&self, id: impl Into<TemplateId>) -> DeleteTemplate {
        DeleteTemplate::new(self.client.clone(), id.into())
    }
}

call! {
    /// Lists templates: from [`Templates::list`].
    ListTemplates(LIST_TEMPLATES) -> Vec<Template> {}
    filters { tag: String }
    path []
    |this, api| api.list_templates(this.tag.as_deref())
}

call! {
    /// Creates a template: from [`Templates::create`].
    CreateTemplate(CREATE_TEMPLATE) -> Template { body: types::CreateTemplate }
    path []
    |this, api| api.create_template(&this.body)
}

call! {
    /// Gets a template: from [`Templates::get`].
    GetTemplate(GET_TEMPLATE) -> Template { id: TemplateId }
    path [id]
    |this, api| api.get_template(&this.id)
}

call! {
    /// Changes a template: from [`Templates::update`].
    UpdateTemplate(UPDATE_TEMPLATE) -> Template { id: TemplateId, body: types::UpdateTemplate }
    path [id]
    |this, api| api.update_template(&this.id, &this.body)
}

call! {
    /// Deletes a template: from [`Templates::delete`].
    DeleteTemplate(DELETE_TEMPLATE) -> () { id: TemplateId }
    path [id]
    |this, api| api.delete_template(&this.id)
    ; then super::call::deleted
}

in_one_piece!(ListTemplates(LIST_TEMPLATES) of Template { tag }, "templates");

impl ListTemplates {
    /// Only templates with this tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }
}

/// The fields that creating and changing a template share.
macro_rules! template_fields {
    ($call:ident) => {
        impl $call {
            /// What the template is for.
            pub fn description(mut self, description: impl Into<String>) -> Self {
                self.body.description = Some(description.into());
                self
            }

            /// What can be set when the template is used.
            pub fn variables(mut self, variables: impl IntoIterator<Item = TemplateVariable>) -> Self {
                self.body.variables = Some(variables.into_iter().collect());
                self
            }

            /// What is run at the template's steps, in free form.
            pub fn hooks(mut self, hooks: Map<String, Value>) -> Self {
                self.body.hooks = Some(hooks);
                self
            }

            /// Words to find the template by.
            pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
                self.body.tags = Some(tags.into_iter().map(Into::into).collect());
                self
            }
        }
    };
}

template_fields!(CreateTemplate);
template_fields!(UpdateTemplate);

impl UpdateTemplate {
    /// The template's name, for people.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// Where the template's files come from.
    pub fn source(mut self, source: impl Into<WorkspaceSource>) -> Self {
        self.body.source = Some(source.into());
        self
    }
}

not_idempotent!(CreateTemplate, "a conflict with the template that the first attempt has created.");
